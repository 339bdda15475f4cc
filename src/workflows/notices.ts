/** Tells people of a question while the question itself is open: what they decide must not wait for that. */
import { CancellationScope, isCancellation, log } from '@temporalio/workflow';
import { messageOf } from '../model/error.ts';
import { isBug } from './failure.ts';
import { withdrawParks } from './park.ts';
import { activeStep, type RunInWindow } from './run-scope.ts';
import { below } from './step-scope.ts';

export interface Notices {
  /** Sends a notice after those before it. */
  send(id: string, notify: () => Promise<unknown>): void;
  /** Whether one is on its way, or waits for a person itself. */
  isBusy(): boolean;
  /** How many have been sent or have failed. */
  ended(): number;
  /** The bug that a notice ran into, to be thrown where the flow is. */
  bug(): { readonly error: unknown } | undefined;
  /** Cancels what is on its way, also a notice that waits for a person itself. */
  close(): Promise<void>;
}

/** Notices of one question. A failure to send one is no failure of the question. */
export function createNotices(scope: RunInWindow): Notices {
  const cancellable = new CancellationScope();
  let begun = 0;
  let ended = 0;
  let bug: { readonly error: unknown } | undefined;
  let last: Promise<void> = Promise.resolve();

  const sent = async (id: string, notify: () => Promise<unknown>): Promise<void> => {
    try {
      await cancellable.run(() => below(id, notify));
    } catch (error) {
      if (isBug(error)) bug ??= { error };
      else if (!isCancellation(error)) log.warn(`${id} was not sent: ${messageOf(error)}`);
    }
    ended += 1;
    forget(scope, id);
  };

  return {
    send(id, notify) {
      const before = begun > ended ? last : undefined;
      begun += 1;
      // Active from now on, also before its first call: a run that continued as new would lose it. And
      // at once when it can be: local activities that end one by one end together in a replay, so what
      // follows them in branches beside each other must not be a few promises away.
      const send = () => sent(id, notify);
      last = activeStep(scope, () => (before === undefined ? send() : before.then(send)));
    },
    isBusy: () => begun > ended,
    ended: () => ended,
    bug: () => bug,
    async close() {
      cancellable.cancel();
      await last;
      // Nothing of a workflow task that fails for a bug may reach the journal: the fixed build asks on.
      if (bug !== undefined) return;
      // A run that is cancelled as a whole settles what it asked, with everything else.
      if (!CancellationScope.current().consideredCancelled) await withdrawParks(scope);
    },
  };
}

/** Reminders may go on for months: what the steps of one returned is not needed again. */
function forget({ window }: RunInWindow, id: string): void {
  for (const step of [...window.steps.keys()]) {
    if (step.includes(`${id}/`)) window.steps.delete(step);
  }
}
