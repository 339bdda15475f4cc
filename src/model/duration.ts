import { TidegateError } from './error.ts';

/**
 * A length of time: a number of milliseconds, or a number with a unit, such as `'250ms'`, `'30s'`,
 * `'5m'`, `'2h'`, `'1d'`.
 */
export type Duration = number | `${number}${DurationUnit}`;
type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

const MS_PER_UNIT: Readonly<Record<DurationUnit, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The longest duration accepted anywhere: a year. */
export const DURATION_MS_MAX = 366 * MS_PER_UNIT.d;

/**
 * A duration in whole milliseconds.
 *
 * @throws TidegateError `duration_invalid` naming the option, when it is not a duration between
 * zero and a year.
 * @example
 * ```ts
 * durationMs('1.5m', 'quiet'); // 90_000
 * ```
 */
export function durationMs(duration: Duration, option: string): number {
  const ms = typeof duration === 'number' ? duration : parse(duration);
  if (!Number.isFinite(ms) || ms < 0 || ms > DURATION_MS_MAX) {
    throw new TidegateError(
      'duration_invalid',
      `${option} must be a duration from 0 to 366d, such as '30s' or 500 (milliseconds), got ${JSON.stringify(duration)}`,
    );
  }
  return Math.round(ms);
}

/** A duration for people: the largest unit that divides it, such as `'5m'` or `'90s'`. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const perUnit = MS_PER_UNIT[unit];
    if (whole >= perUnit && whole % perUnit === 0) return `${whole / perUnit}${unit}`;
  }
  return whole >= 10_000 ? `${(whole / 1_000).toFixed(1)}s` : `${whole}ms`;
}

function parse(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) return Number.NaN;
  return Number(match[1]) * MS_PER_UNIT[match[2] as DurationUnit];
}
