import pg from 'pg';
import { messageOf } from '../model/error.ts';
import { PRESENCE } from './lanes.ts';
import type { JournalLogger } from './logger.ts';

/** How processes on one journal tell each other that there is something to send. A message may be lost. */
export interface WakeUps {
  wake(lanes: readonly number[]): Promise<void>;
  onWake(listener: (lanes: readonly number[]) => void): void;
  /**
   * Whether the connection that listens holds the lock of a dispatcher, by which others see that it lives;
   * tries to take it, for the next time, where it does not.
   */
  standFor(holder: string): boolean;
  close(): Promise<void>;
}

/** For a journal inside one process. */
export function localWakeUps(): WakeUps {
  const listeners: ((lanes: readonly number[]) => void)[] = [];
  return {
    async wake(lanes) {
      for (const listener of listeners) listener(lanes);
    },
    onWake: (listener) => void listeners.push(listener),
    standFor: () => false,
    close: async () => void listeners.splice(0),
  };
}

const CHANNEL = 'tidegate_lanes';
const TRY_LOCK = 'select pg_try_advisory_lock(hashtextextended($1, 0)) as locked';
/** A connection that broke is made again after this long; meanwhile there are the dispatchers' polls. */
const RECONNECT_MS = 1_000;

/**
 * By LISTEN and NOTIFY, each on its own terms: a connection listens from the first `onWake` on, and
 * `notify` is a statement of its own after the commit, because one inside a transaction makes all
 * commits of a server wait for each other.
 * https://www.postgresql.org/docs/current/sql-notify.html
 */
export function serverWakeUps(
  options: { readonly databaseUrl: string; readonly logger: JournalLogger | undefined },
  notify: (channel: string, message: string) => Promise<void>,
): WakeUps {
  const listeners: ((lanes: readonly number[]) => void)[] = [];
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  const locked = new Set<string>();
  let isClosed = false;
  let isAway = false;

  async function listen(): Promise<void> {
    const connecting = new pg.Client({
      connectionString: options.databaseUrl,
      application_name: 'tidegate wake-ups',
      connectionTimeoutMillis: 3_000,
      keepAlive: true,
    });
    client = connecting;
    connecting.on('error', () => {});
    connecting.once('end', () => again(connecting));
    connecting.on('notification', ({ payload }) => tell(payload ?? ''));
    try {
      await connecting.connect();
      await connecting.query(`listen ${CHANNEL}`);
      isAway = false;
    } catch (error) {
      const fields = { error: messageOf(error) };
      if (!isAway) options.logger?.warn(fields, 'cannot hear other processes; polls instead');
      isAway = true;
      await connecting.end().catch(() => {});
      again(connecting);
    }
  }

  function again(ended: pg.Client): void {
    if (isClosed || client !== ended) return;
    client = undefined;
    locked.clear();
    timer = setTimeout(() => void listen(), RECONNECT_MS);
  }

  function tell(payload: string): void {
    const lanes = payload.split(',').map(Number).filter(Number.isInteger);
    for (const listener of listeners) listener(lanes);
  }

  /** Without waiting for it: while this waits, nothing is heard. */
  async function lock(holder: string): Promise<void> {
    const asked = client;
    const answer = await asked
      ?.query<{ locked: boolean }>(TRY_LOCK, [`${PRESENCE}${holder}`])
      .catch(() => undefined);
    if (asked === client && answer?.rows[0]?.locked) locked.add(holder);
  }

  return {
    standFor(holder) {
      if (!locked.has(holder)) void lock(holder);
      return locked.has(holder);
    },
    wake: (lanes) => (lanes.length === 0 ? Promise.resolve() : notify(CHANNEL, lanes.join(','))),
    onWake(listener) {
      listeners.push(listener);
      if (listeners.length === 1 && !isClosed) void listen();
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}
