import type { Journal } from '../journal/journal.ts';
import { runLane } from '../journal/lanes.ts';
import { surplusLanes } from './lane-shares.ts';
import type { RunQueue } from './run-queue.ts';

const LEASE_MS = 10_000;

/** The lanes whose runs this dispatcher sends. */
export interface HeldLanes {
  has(lane: number): boolean;
  all(): readonly number[];
  /**
   * Renews the lease when a fifth of it is over; whether it did, after which other lanes may be held than before.
   *
   * @param now of a clock that is never set back, in milliseconds.
   * @throws TidegateError `journal_unavailable`
   */
  renew(now: number): Promise<boolean>;
  /**
   * Gives up the lanes that others are to have, except those of these runs, which are being sent.
   *
   * @throws TidegateError `journal_unavailable`
   */
  giveUp(sending: Iterable<Pick<RunQueue, 'run'>>): Promise<void>;
  /**
   * Gives up all of them.
   *
   * @throws TidegateError `journal_unavailable`
   */
  release(): Promise<void>;
}

/**
 * Leases lanes for a holder. Those above its share are no longer held, but stay leased until nothing of them is
 * in flight: two dispatchers would send a run at the same time.
 *
 * @param beforeRelease notes what was sent, so that the next holder does not send it again.
 */
export function heldLanes(options: {
  readonly journal: Pick<Journal, 'leaseLanes' | 'releaseLanes'>;
  readonly holder: string;
  readonly beforeRelease: () => Promise<void>;
}): HeldLanes {
  const { journal, holder, beforeRelease } = options;
  let held: ReadonlySet<number> = new Set();
  let leaving: readonly number[] = [];
  let leasedAt = Number.NEGATIVE_INFINITY;
  return {
    has: (lane) => held.has(lane),
    all: () => [...held],
    async renew(now) {
      if (now - leasedAt <= LEASE_MS / 5) return false;
      const lease = await journal.leaseLanes(holder, LEASE_MS);
      leaving = surplusLanes(lease);
      held = new Set(lease.lanes.filter((lane) => !leaving.includes(lane)));
      leasedAt = now;
      return true;
    },
    async giveUp(sending) {
      if (leaving.length === 0) return;
      const inUse = new Set([...sending].map(({ run }) => runLane(run)));
      const given = leaving.filter((lane) => !inUse.has(lane));
      if (given.length === 0) return;
      await beforeRelease();
      await journal.releaseLanes(holder, given);
      leaving = leaving.filter((lane) => !given.includes(lane));
    },
    async release() {
      await beforeRelease();
      await journal.releaseLanes(holder);
    },
  };
}
