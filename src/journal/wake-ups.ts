import pg from 'pg';
import { messageOf } from '../model/error.ts';
import { PRESENCE } from './lanes.ts';
import type { JournalLogger } from './logger.ts';

/** How processes on one journal tell each other that there is something to send. A message may be lost. */
export interface WakeUps {
  wake(lanes: readonly number[]): Promise<void>;
  onWake(listener: (lanes: readonly number[]) => void): void;
  /**
   * Takes the lock of a dispatcher with the connection that listens, by which others see that it lives, and
   * notes in its row that it has; false where it cannot.
   */
  standFor(holder: string): Promise<boolean>;
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
    standFor: async () => false,
    close: async () => void listeners.splice(0),
  };
}

const CHANNEL = 'tidegate_lanes';
const BE_PRESENT = `
  update dispatchers set is_present = pg_try_advisory_lock(hashtextextended($2, 0))
  where holder = $1
  returning is_present`;
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
  const holders = new Set<string>();
  /** Those of them whose lock this connection has. */
  const present = new Set<string>();
  let isClosed = false;
  let isAway = false;

  async function listen(): Promise<void> {
    const connecting = new pg.Client({
      connectionString: options.databaseUrl,
      application_name: 'tidegate wake-ups',
      connectionTimeoutMillis: 3_000,
      // Leases are renewed behind it.
      query_timeout: 2_000,
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
      for (const holder of holders) void standFor(holder);
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
    present.clear();
    timer = setTimeout(() => void listen(), RECONNECT_MS);
  }

  function tell(payload: string): void {
    const lanes = payload.split(',').map(Number).filter(Number.isInteger);
    for (const listener of listeners) listener(lanes);
  }

  async function standFor(holder: string): Promise<boolean> {
    holders.add(holder);
    if (present.has(holder)) return true;
    const asked = client;
    // The lock only lets others take over sooner: without it there is the lease, whose next renewal asks again.
    const answer = await asked
      ?.query<{ is_present: boolean }>(BE_PRESENT, [holder, `${PRESENCE}${holder}`])
      .catch(() => undefined);
    if (asked === client && answer?.rows[0]?.is_present) present.add(holder);
    return present.has(holder);
  }

  return {
    standFor,
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
