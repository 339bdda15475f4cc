import { performance } from 'node:perf_hooks';
import { LIMITS } from '../model/limits.ts';

/**
 * How many calls may be in flight: acknowledgements come first, because what is in the journal is
 * safe and can wait. A busy event loop gets fewer calls, and always at least one.
 */
export const callsAllowed = (eventLoopUtilization: number): number => {
  if (eventLoopUtilization < 0.7) return LIMITS.dispatchConcurrencyMax;
  if (eventLoopUtilization < 0.9) return LIMITS.dispatchConcurrencyMax / 4;
  return 2;
};

const SAMPLE_MS = 100;

/** The event loop's utilization over the last tenth of a second, from 0 to 1. */
export function eventLoopMeter(): () => number {
  let mark = performance.eventLoopUtilization();
  let markedAt = performance.now();
  let last = 0;
  return () => {
    if (performance.now() - markedAt >= SAMPLE_MS) {
      last = performance.eventLoopUtilization(mark).utilization;
      mark = performance.eventLoopUtilization();
      markedAt = performance.now();
    }
    return last;
  };
}
