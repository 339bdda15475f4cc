import type { RunId } from '../model/run.ts';
import type { Unasked } from './run-queue.ts';

/** The last call to a run: the highest number in it, and when it ended. */
export interface Sent {
  readonly through: number;
  readonly at: number;
  /** What the run was sent since it was last known to have taken in all and to have room. */
  readonly unasked: Unasked;
}

export interface SentMemory {
  get(run: RunId): Sent | undefined;
  set(run: RunId, sent: Sent): void;
}

/** Remembers the runs that were called last, so that a hot run's next event needs no question to the journal. */
export function sentMemory(runsMax: number): SentMemory {
  const remembered = new Map<RunId, Sent>();
  return {
    get: (run) => remembered.get(run),
    set(run, sent) {
      // A Map keeps the order of insertion: the first is the one that was called longest ago.
      remembered.delete(run);
      remembered.set(run, sent);
      if (remembered.size <= runsMax) return;
      const oldest = remembered.keys().next().value;
      if (oldest !== undefined) remembered.delete(oldest);
    },
  };
}
