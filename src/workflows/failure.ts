/** What a failure means to a flow, once all retries and all persons have had their turn. */
import {
  ActivityFailure,
  ApplicationFailure,
  isCancellation,
  TemporalFailure,
} from '@temporalio/workflow';
import { ERROR_CLASSES, type ErrorClass, messageOf } from '../model/error.ts';

/** The type of the failure that an abort throws to the flow. */
export const ABORTED = 'run_aborted';

/** A failure as a flow and an operator read it. */
export interface FailureSummary {
  /** The error class, or `run_aborted` when a person gave up. */
  readonly class: ErrorClass | typeof ABORTED;
  readonly message: string;
  /** Calls that the failed operation made in all, when it was one. */
  readonly attempts?: number;
}

/**
 * Whether an error is a bug in the flow rather than a failure. A bug is always thrown on: Temporal
 * tries the workflow task again until a fixed build arrives, and nothing of the attempt is kept.
 */
export const isBug = (error: unknown): boolean => !(error instanceof TemporalFailure);

/**
 * Whether a caught error is a failure that a flow may go on from: an operation that failed for good, a
 * park whose time was over, a saga that was undone, a person who gave up. A bug and a cancellation are
 * none: throw those on.
 *
 * @example
 * ```ts
 * try {
 *   await saga(work);
 * } catch (error) {
 *   if (!isFailure(error)) throw error;
 *   await slack.postMessage({ channel: '#orders', text: `could not fulfil it: ${error.message}` });
 * }
 * ```
 */
export const isFailure = (error: unknown): error is TemporalFailure =>
  error instanceof TemporalFailure && !isCancellation(error);

/** Whether a person gave the failed step up. */
export const isAborted = (error: unknown): boolean =>
  error instanceof ApplicationFailure && error.type === ABORTED;

/** The class of a failure; `fatal` when it has none. */
export function classOf(error: unknown): ErrorClass {
  const type = error instanceof ApplicationFailure ? error.type : undefined;
  return ERROR_CLASSES.find((known) => known === type) ?? 'fatal';
}

export function summaryOf(error: unknown): FailureSummary {
  const failure = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  const attempts = failure instanceof ApplicationFailure ? attemptsOf(failure) : undefined;
  return {
    class: isAborted(failure) ? ABORTED : classOf(failure),
    message: messageOf(failure),
    ...(attempts === undefined ? {} : { attempts }),
  };
}

/** What an abort throws to the flow. */
export const aborted = (
  step: string,
  { errorClass, reason }: { readonly errorClass?: ErrorClass; readonly reason: string },
  why: string,
): ApplicationFailure =>
  ApplicationFailure.nonRetryable(
    `${step} was aborted: ${why} (${errorClass === undefined ? reason : `it had failed: ${reason}`})`,
    ABORTED,
    {
      step,
      errorClass,
    },
  );

/** A failure again, of its summary: what continue-as-new could keep of it. */
export const failureOf = (summary: FailureSummary): ApplicationFailure =>
  ApplicationFailure.nonRetryable(summary.message, summary.class);

function attemptsOf({ details }: ApplicationFailure): number | undefined {
  const { attempts } = (details?.[0] ?? {}) as { readonly attempts?: unknown };
  return typeof attempts === 'number' ? attempts : undefined;
}
