import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '../model/limits.ts';
import { unavailable } from './database-error.ts';
import { inHalves } from './in-halves.ts';
import type { JournalDatabase } from './schema.ts';
import { type Settlement, settleAll } from './settle.ts';

export interface Settler {
  /**
   * Resolves when the settlement is committed, or its deliveries were settled already.
   *
   * @throws TidegateError `journal_unavailable`
   */
  readonly settle: (settlement: Settlement) => Promise<void>;
  /** Takes no more; resolves when what waited has been committed. */
  readonly close: () => Promise<void>;
}

interface Call {
  readonly settlement: Settlement;
  readonly bytes: number;
  readonly settled: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * How many times as long as a commit took there is to be none after it. Each waits for the disk, of which runs are to
 * have a small share only: nothing but the end of a run, or its next window, waits for a settlement.
 */
const REST_PER_COMMIT = 100;
const REST_MS_MAX = 200;
/** Rest that may be taken later: only who settles for long waits for it. */
const OWED_MS_MAX = 2_000;

/**
 * Settlements of many runs in one commit. One that finds none before it goes at once; those that come while it is
 * committed, and under lasting load in a rest after that, go together in the next.
 */
export function makeSettler(database: JournalDatabase): Settler {
  const waiting = new Map<string, Call>();
  let flushing: Promise<void> | undefined;
  let owedMs = 0;
  let endedAt = performance.now();
  const closing = new AbortController();

  const commitAndOwe = async (group: readonly Call[]): Promise<void> => {
    const begunAt = performance.now();
    await commit(database, group);
    const now = performance.now();
    const restMs = Math.min((now - begunAt) * REST_PER_COMMIT, REST_MS_MAX);
    owedMs = Math.max(0, owedMs - (now - endedAt)) + restMs;
    endedAt = now;
  };

  const flushAll = async (): Promise<void> => {
    while (waiting.size > 0) {
      const group = groupOf(waiting.values());
      for (const { settlement } of group) waiting.delete(nameOf(settlement));
      await commitAndOwe(group);
      if (owedMs <= OWED_MS_MAX) continue;
      // Rejects when the journal closes: what waits is committed at once.
      await sleep(owedMs - OWED_MS_MAX, undefined, { signal: closing.signal }).catch(() => {});
    }
    flushing = undefined;
  };

  return {
    settle(settlement) {
      if (closing.signal.aborted) return Promise.reject(unavailable('it was closed'));
      const name = nameOf(settlement);
      const call = waiting.get(name) ?? callOf(settlement);
      waiting.set(name, call);
      flushing ??= flushAll();
      return call.settled;
    },
    async close() {
      closing.abort();
      await flushing;
    },
  };
}

function callOf(settlement: Settlement): Call {
  let ends!: Pick<Call, 'resolve' | 'reject'>;
  const settled = new Promise<void>((resolve, reject) => {
    ends = { resolve, reject };
  });
  return { settlement, bytes: JSON.stringify(settlement).length, settled, ...ends };
}

/** Of the same name are repeats: Temporal asks again for what has hung, and those would wait for each other. */
const nameOf = ({ run, through }: Settlement): string => `${run} ${through}`;

/** The first that waits, and with it all that the limits allow; of each run one. */
function groupOf(waiting: Iterable<Call>): readonly Call[] {
  const group = new Map<string, Call>();
  let bytes = 0;
  for (const call of waiting) {
    if (group.size >= LIMITS.settleGroupMax) break;
    if (group.has(call.settlement.run)) continue;
    bytes += call.bytes;
    if (group.size > 0 && bytes > LIMITS.settleGroupBytesMax) break;
    group.set(call.settlement.run, call);
  }
  return [...group.values()];
}

const commit = (database: JournalDatabase, group: readonly Call[]): Promise<void> =>
  inHalves(group, {
    async commit(calls) {
      await settleAll(
        database,
        calls.map(({ settlement }) => settlement),
      );
      for (const { resolve } of calls) resolve();
    },
    refuse(calls, error) {
      for (const { reject } of calls) reject(error);
    },
  });
