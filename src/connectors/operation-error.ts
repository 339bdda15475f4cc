import type { OperationProblem } from '../model/connector.ts';
import { ERROR_CLASSES, type ErrorClass, TidegateError } from '../model/error.ts';

/**
 * An error whose class is known: what an operation throws when it knows better than the general
 * rules who can mend it (DESIGN §8).
 *
 * @example
 * ```ts
 * if (deal.locked) throw operationError('persistent', `deal ${deal.id} is locked: ask its owner`);
 * ```
 */
export function operationError(
  errorClass: ErrorClass,
  message: string,
  options: {
    /** How long to wait at least before the next attempt. */
    readonly retryAfterMs?: number;
    readonly status?: number;
    /** Whether it may have been done all the same. @default false */
    readonly mayHaveHappened?: boolean;
  } = {},
): TidegateError {
  const problem: OperationProblem = { mayHaveHappened: false, ...options, errorClass };
  return new TidegateError('operation_failed', message, { details: { ...problem } });
}

/** What an `operation_failed` error says of itself; undefined for any other value. */
export function problemOf(error: unknown): OperationProblem | undefined {
  if (!TidegateError.is(error, 'operation_failed')) return undefined;
  const { errorClass, retryAfterMs, status, mayHaveHappened } = error.details;
  const known = ERROR_CLASSES.find((candidate) => candidate === errorClass);
  if (known === undefined) return undefined;
  return {
    errorClass: known,
    mayHaveHappened: mayHaveHappened === true,
    ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    ...(typeof status === 'number' ? { status } : {}),
  };
}
