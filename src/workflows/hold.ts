import { condition } from '@temporalio/workflow';
import { LIMITS } from '../model/limits.ts';
import type { RunScope } from './run-scope.ts';

/**
 * Keeps the inbox bounded while nobody takes from it, because the run is parked or busy: asks the
 * journal to hold further deliveries back, and to let them come when there is room again. An inbox
 * over the 2 MB of a continue-as-new would be the end of the run.
 */
export async function holdWhileFull(scope: RunScope): Promise<never> {
  for (;;) {
    if (!scope.held) {
      await condition(() => isFull(scope) && !scope.isContinuing);
      await tell(scope, true);
    }
    await condition(() => hasRoom(scope) && !scope.isContinuing);
    await tell(scope, false);
  }
}

/** Resolves when the journal is not being told anything, and holds nothing back. */
export const released = (scope: RunScope): Promise<void> =>
  condition(() => !scope.held && !scope.isTellingHold);

/** Resolves when the journal is not being told anything: what is carried is then what it knows. */
export const told = (scope: RunScope): Promise<void> => condition(() => !scope.isTellingHold);

async function tell(scope: RunScope, held: boolean): Promise<void> {
  scope.isTellingHold = true;
  if (held) scope.held = true;
  await scope.journal.hold({ run: scope.input.run, held });
  scope.held = held;
  scope.isTellingHold = false;
}

const isFull = ({ inbox }: RunScope): boolean =>
  inbox.count() >= LIMITS.inboxEventsMax || inbox.queuedBytes() >= LIMITS.inboxBytesMax;

const hasRoom = ({ inbox }: RunScope): boolean =>
  inbox.count() <= LIMITS.inboxEventsMax / 2 && inbox.queuedBytes() <= LIMITS.inboxBytesMax / 2;
