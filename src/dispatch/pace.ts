import { performance } from 'node:perf_hooks';
import { LIMITS } from '../model/limits.ts';

/** How hard the process works, measured by itself. */
export interface Pressure {
  /** The event loop's utilization, from 0 to 1. */
  readonly utilization: number;
  /** The most commits that were waited for at once. */
  readonly commitsAwaited: number;
}

/** How many calls may be in flight, and the pause after each. */
export interface Pace {
  readonly calls: number;
  readonly pauseMs: number;
}

/**
 * Acknowledgements come first: what is in the journal is safe and can wait. A process that is
 * saturated sends a trickle, which still moves 10,000 events a second of hot keys, because each call
 * carries hundreds.
 */
export function paceFor({ utilization, commitsAwaited }: Pressure): Pace {
  if (utilization > 0.9 || commitsAwaited > 24) return { calls: 1, pauseMs: 50 };
  if (utilization > 0.7 || commitsAwaited > 6) return { calls: 8, pauseMs: 0 };
  return { calls: LIMITS.dispatchConcurrencyMax, pauseMs: 0 };
}

const SAMPLE_MS = 100;

export interface PressureMeter {
  /** Counts a commit while it is waited for. */
  awaiting<Result>(commit: Promise<Result>): Promise<Result>;
  /** Over the last tenth of a second. */
  read(): Pressure;
}

export function pressureMeter(): PressureMeter {
  let mark = performance.eventLoopUtilization();
  let markedAt = performance.now();
  let awaited = 0;
  let peak = 0;
  let last: Pressure = { utilization: 0, commitsAwaited: 0 };
  return {
    async awaiting(commit) {
      awaited += 1;
      peak = Math.max(peak, awaited);
      try {
        return await commit;
      } finally {
        awaited -= 1;
      }
    },
    read() {
      if (performance.now() - markedAt >= SAMPLE_MS) {
        const { utilization } = performance.eventLoopUtilization(mark);
        last = { utilization, commitsAwaited: peak };
        mark = performance.eventLoopUtilization();
        markedAt = performance.now();
        peak = awaited;
      }
      return last;
    },
  };
}
