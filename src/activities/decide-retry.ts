import { delay, type RetryPolicy } from '../connectors/backoff.ts';
import type { OperationProblem } from '../model/connector.ts';
import { formatDuration } from '../model/duration.ts';

/** How far the attempts of a call have come, the one that just failed included. */
export interface Progress {
  /** Attempts that count: those that were throttled, or stopped with their worker, do not. */
  readonly counted: number;
  /** Attempts that do not count. */
  readonly free: number;
  /** Since the first attempt began. */
  readonly elapsedMs: number;
}

export type RetryDecision =
  | { readonly action: 'retry'; readonly delayMs: number }
  /** `why` says what is used up; empty where the class alone forbids another attempt. */
  | { readonly action: 'stop'; readonly why: string };

/** Whether and when a call that failed is tried again (DESIGN §8). Pure. */
export function decideRetry(
  problem: OperationProblem,
  progress: Progress,
  policy: RetryPolicy,
  random: () => number,
): RetryDecision {
  switch (problem.errorClass) {
    case 'persistent':
    case 'fatal':
    case 'unknown':
      return { action: 'stop', why: '' };
    case 'transient': {
      if (progress.counted >= policy.attempts) {
        return { action: 'stop', why: `all ${policy.attempts} attempts are used up` };
      }
      const delayMs = Math.max(delay(progress.counted, policy, random), problem.retryAfterMs ?? 0);
      return withinBudget(delayMs, progress, policy);
    }
    case 'throttled': {
      // Not all at the very moment when the provider opens again.
      const spreadMs = delay(progress.free, policy, random);
      return withinBudget((problem.retryAfterMs ?? 0) + spreadMs, progress, policy);
    }
    default:
      return problem.errorClass satisfies never;
  }
}

/** Temporal takes a delay of 0 for none given. */
const DELAY_MS_MIN = 1;

function withinBudget(
  delayMs: number,
  { elapsedMs }: Progress,
  { withinMs }: RetryPolicy,
): RetryDecision {
  if (elapsedMs + delayMs < withinMs) {
    return { action: 'retry', delayMs: Math.max(DELAY_MS_MIN, delayMs) };
  }
  const wait = `the next attempt would be in ${formatDuration(delayMs)}`;
  return { action: 'stop', why: `${wait}, after the ${formatDuration(withinMs)} it may take` };
}
