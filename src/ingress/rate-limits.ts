/**
 * How much may come in a time. The rule is GCRA: one number per bucket, the time at which it would be full
 * again. Times are of a clock that does not jump, in milliseconds.
 */
import type { Duration } from '../model/duration.ts';
import { durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/** A limit as a project writes it. */
export interface RateLimit {
  /** How many in `per`, in the long run: a whole number from 1. */
  readonly rate: number;
  /** From one second to one day. */
  readonly per: Duration;
  /** How many may come at once after a pause: a whole number from 1. @default `rate` */
  readonly burst?: number;
}

/** A limit, checked and in milliseconds. */
export interface Bucket {
  /** The time in which one comes back. */
  readonly intervalMs: number;
  /** How many a full bucket holds. */
  readonly burst: number;
}

const PER_MS_MIN = 1_000;
const PER_MS_MAX = 86_400_000;

/**
 * @param name of what it limits, for the message.
 * @throws TidegateError `option_invalid`, or `duration_invalid` for `per`.
 */
export function bucketOf({ rate, per, burst = rate }: RateLimit, name: string): Bucket {
  const perMs = durationMs(per, `${name}.per`);
  const problem =
    (!isCount(rate) && 'rate must be a whole number from 1') ||
    (!isCount(burst) && 'burst must be a whole number from 1') ||
    ((perMs < PER_MS_MIN || perMs > PER_MS_MAX) && 'per must be from 1s to 1d');
  if (problem) throw new TidegateError('option_invalid', `${name}: ${problem}.`);
  return { intervalMs: perMs / rate, burst };
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;

export type Taken =
  | { readonly kind: 'taken'; readonly fullAtMs: number }
  | { readonly kind: 'refused'; readonly retryAfterMs: number };

/**
 * Takes from a bucket. Within any time `w`, at most `burst + w / intervalMs` are taken, and a clock that goes
 * back gives nothing back. What is larger than the bucket waits until it is full and leaves a debt, because
 * otherwise it could never come.
 *
 * @param fullAtMs of the bucket before; undefined for one that is full.
 * @param count how many, from 1.
 */
export function take(
  { intervalMs, burst }: Bucket,
  fullAtMs: number | undefined,
  count: number,
  nowMs: number,
): Taken {
  const start = Math.max(fullAtMs ?? nowMs, nowMs);
  const emptyForMs = start - nowMs + Math.min(count, burst) * intervalMs;
  // Sums of fractions of a millisecond: what is full within a billionth counts as full.
  const excessMs = emptyForMs - burst * intervalMs * (1 + 1e-9);
  return excessMs > 0
    ? { kind: 'refused', retryAfterMs: excessMs }
    : { kind: 'taken', fullAtMs: start + count * intervalMs };
}

/** Many buckets, each under a key of its own. */
export interface Buckets {
  /** How long to wait, when `count` more are not to be taken now; takes nothing. */
  peek(key: string, bucket: Bucket, count: number, nowMs: number): number | undefined;
  /** As `peek`; takes them when that is allowed. */
  take(key: string, bucket: Bucket, count: number, nowMs: number): number | undefined;
  readonly size: number;
}

/** How many of the longest untouched are looked at with each take: more than one, so that idle ones go. */
const LOOKED_AT = 2;

/** Buckets in memory: full ones go, and beyond the limit the one that was not touched for longest. */
export function createBuckets(bucketsMax: number = LIMITS.rateBucketsMax): Buckets {
  // In the order in which they were last taken from.
  const fullAt = new Map<string, number>();

  function dropIdle(nowMs: number): void {
    let looked = 0;
    for (const [key, fullAtMs] of fullAt) {
      const isDropped = fullAt.size > bucketsMax || fullAtMs <= nowMs;
      if (isDropped) fullAt.delete(key);
      looked += 1;
      if (looked >= LOOKED_AT) return;
    }
  }

  const decide = (key: string, bucket: Bucket, count: number, nowMs: number) =>
    take(bucket, fullAt.get(key), count, nowMs);
  return {
    peek(key, bucket, count, nowMs) {
      const taken = decide(key, bucket, count, nowMs);
      return taken.kind === 'refused' ? taken.retryAfterMs : undefined;
    },
    take(key, bucket, count, nowMs) {
      const taken = decide(key, bucket, count, nowMs);
      if (taken.kind === 'taken') {
        fullAt.delete(key);
        fullAt.set(key, taken.fullAtMs);
      }
      dropIdle(nowMs);
      return taken.kind === 'taken' ? undefined : taken.retryAfterMs;
    },
    get size() {
      return fullAt.size;
    },
  };
}

/**
 * A limit as an environment variable has it: `100/1s`, or `100/1s burst 500`.
 *
 * @throws TidegateError as {@link bucketOf}.
 */
export function parseRateLimit(text: string, name: string): RateLimit {
  const match = /^(\d{1,9})\/(\d+(?:\.\d+)?(?:ms|s|m|h|d))(?: +burst +(\d{1,9}))?$/.exec(
    text.trim(),
  );
  if (match === null) {
    throw new TidegateError(
      'option_invalid',
      `${name} must be a rate such as 100/1s, or 100/1s burst 500.`,
    );
  }
  const [, rate, per, burst] = match;
  const limit = {
    rate: Number(rate),
    per: per as Duration,
    ...(burst === undefined ? {} : { burst: Number(burst) }),
  };
  bucketOf(limit, name);
  return limit;
}
