/**
 * What a branch or a saga came to, kept with the results of finished steps. A body that runs again
 * because the run continued as new must meet the failures that it met before; one that a person
 * retries must not.
 */
import type { Json } from '../model/event.ts';
import type { OpenWindow } from './run-scope.ts';

// Step ids are names of code: none has a space in it before its first `/`.
const PREFIX = 'outcome of ';

export const outcomeOf = (window: OpenWindow, id: string): unknown =>
  window.steps.get(`${PREFIX}${id}`);

export const keepOutcome = (window: OpenWindow, id: string, outcome: object): void => {
  window.steps.set(`${PREFIX}${id}`, outcome as Json);
};

/**
 * Before a person's retry: what failed is to be tried again, and only that.
 * @param under the step that is retried. @default the body
 */
export function forgetFailures(window: OpenWindow, under?: string): void {
  const prefix = under === undefined ? PREFIX : `${PREFIX}${under}/`;
  for (const [key, outcome] of window.steps) {
    if (!key.startsWith(prefix)) continue;
    const { status, attempt } = outcome as { readonly status: string; readonly attempt?: number };
    if (status === 'failed') window.steps.delete(key);
    // What a saga has undone is to be done anew: under other step ids, with other idempotency keys.
    if (status === 'compensated') {
      window.steps.set(key, { status: 'anew', attempt: (attempt ?? 1) + 1 });
    }
  }
}
