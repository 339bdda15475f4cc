import { type Duration, durationMs } from '../../model/duration.ts';
import { type Refused, refused } from './verifier.ts';

export type TimeUnit = 'seconds' | 'milliseconds' | 'rfc3339';

export interface WindowOptions {
  /**
   * How old a signed time may be. In the future it may lie as much, but never more than five minutes:
   * a clock is wrong by seconds, and a time far ahead would make a captured request good for long.
   * @default what the scheme says
   */
  readonly window?: Duration;
}

/** A window with its option read. */
export interface TimeWindow {
  readonly pastMs: number;
  readonly futureMs: number;
}

const FUTURE_MS_MAX = 5 * 60_000;

/** @throws TidegateError `duration_invalid` */
export function timeWindow({ window }: WindowOptions, byDefault: Duration): TimeWindow {
  const pastMs = durationMs(window ?? byDefault, 'window');
  return { pastMs, futureMs: Math.min(pastMs, FUTURE_MS_MAX) };
}

/**
 * Exact shapes: with `parseInt`, `1700000000abc` is a time, and where a scheme puts nothing between time
 * and body, a digit could change sides. Ten digits are seconds until 2286.
 */
const SHAPES: Readonly<Record<TimeUnit, RegExp>> = {
  seconds: /^\d{10}$/,
  milliseconds: /^\d{13}$/,
  rfc3339: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/,
};

export function parseTime(text: string, unit: TimeUnit): number | undefined {
  if (!SHAPES[unit].test(text)) return undefined;
  switch (unit) {
    case 'seconds':
      return Number(text) * 1_000;
    case 'milliseconds':
      return Number(text);
    case 'rfc3339': {
      const ms = Date.parse(text);
      return Number.isNaN(ms) ? undefined : ms;
    }
    default:
      return unit satisfies never;
  }
}

/** What is wrong with a signed time, if anything. */
export function timeRefusal(
  atMs: number,
  { pastMs, futureMs }: TimeWindow,
  nowMs: number,
): Refused | undefined {
  if (nowMs - atMs > pastMs) return refused('timestamp_expired');
  if (atMs - nowMs > futureMs) return refused('timestamp_future');
  return undefined;
}
