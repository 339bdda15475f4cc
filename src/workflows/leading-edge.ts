/** When a flow goes on: after the quiet time, at the first event, or both. */
export type DebounceEdge = 'trailing' | 'leading' | 'both';

/** The quiet time after a leading edge: plain JSON, it is carried across continue-as-new. */
export interface EdgeTime {
  /** `leading` suppresses what comes in it; `both` makes it the next window. */
  readonly edge: Exclude<DebounceEdge, 'trailing'>;
  readonly quietMs: number;
  readonly atMostMs: number;
  readonly firedAt: number;
  readonly lastAt: number;
  /** The highest delivery number it has suppressed; absent when none. */
  readonly suppressedThrough?: number;
}

/** When the quiet time ends: `min(last + quiet, fired + atMost)`. */
export const edgeEndsAt = (time: EdgeTime): number =>
  Math.min(time.lastAt + time.quietMs, time.firedAt + time.atMostMs);

/** The quiet time after one more delivery at `now`; undefined when it had ended before. */
export function suppress(time: EdgeTime, number: number, now: number): EdgeTime | undefined {
  if (now >= edgeEndsAt(time)) return undefined;
  return { ...time, lastAt: now, suppressedThrough: number };
}
