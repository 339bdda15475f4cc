import type { RetryOptions } from '../model/connector.ts';
import { durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/** Retry options in milliseconds, all of them set. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly initialMs: number;
  readonly maxMs: number;
  readonly withinMs: number;
}

const RETRY_DEFAULTS = { attempts: 6, initial: '500ms', max: '1m', within: '15m' } as const;

/**
 * The retry policy of an operation: its own options before the connector's before the defaults.
 *
 * @throws TidegateError `connector_invalid` or `duration_invalid`, naming the option.
 */
export function retryPolicy(
  operation: RetryOptions | undefined,
  connector: RetryOptions | undefined,
): RetryPolicy {
  const options = { ...RETRY_DEFAULTS, ...connector, ...operation };
  const { attempts } = options;
  if (!Number.isInteger(attempts) || attempts < 1 || attempts > LIMITS.retryAttemptsMax) {
    throw new TidegateError(
      'connector_invalid',
      `retry.attempts must be a whole number from 1 to ${LIMITS.retryAttemptsMax}, got ${attempts}`,
    );
  }
  return {
    attempts,
    initialMs: durationMs(options.initial, 'retry.initial'),
    maxMs: durationMs(options.max, 'retry.max'),
    withinMs: durationMs(options.within, 'retry.within'),
  };
}

/**
 * How long to wait after a failed attempt, in milliseconds: drawn from 0 to a bound that doubles with
 * each attempt (full jitter), so that many runs that failed together do not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param attempt the attempt that failed, from 1
 * @param random from 0 to below 1
 */
export function delay(
  attempt: number,
  { initialMs, maxMs }: Pick<RetryPolicy, 'initialMs' | 'maxMs'>,
  random: () => number,
): number {
  const boundMs = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, 52));
  return Math.floor(random() * boundMs);
}
