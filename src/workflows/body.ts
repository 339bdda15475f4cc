import { isCancellation } from '@temporalio/workflow';
import { messageOf } from '../model/error.ts';
import type { Json, TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { CarriedWindow, Outcome, Resolution } from '../model/protocol.ts';
import { classOf, isAborted, isBug } from './failure.ts';
import type { Inbox } from './inbox.ts';
import { forgetFailures } from './outcomes.ts';
import { isCarriedPark, type ParkReason, parkAt } from './park.ts';
import {
  activeStep,
  inWindow,
  type OpenWindow,
  type RunInWindow,
  type RunScope,
  takeResuming,
  withRun,
} from './run-scope.ts';

export type FlowBody = (first: TidegateEvent, inbox: Inbox) => Promise<unknown>;

/** How a pass through a flow's body ended. */
export type BodyEnd =
  | {
      readonly kind: 'ended';
      readonly outcome: Outcome;
      readonly reason?: string;
      readonly result?: Json;
    }
  | { readonly kind: 'waiting'; readonly waiting: NonNullable<CarriedWindow['waiting']> };

const BODY = 'body';

/**
 * Runs the body of a flow on a window until it has an end. The body may be run more than once:
 * after continue-as-new, and when a person retries after a failure that the flow did not catch.
 * Steps that have finished return what they returned.
 *
 * A plain error (a bug) is thrown on: Temporal tries the workflow task again until a fixed build
 * arrives, and nothing of the failed attempt is in the history.
 */
export async function runBody(
  scope: RunScope,
  window: OpenWindow,
  body: FlowBody,
): Promise<BodyEnd> {
  // Not the SDK's Trigger: that one rejects on cancellation, before the body can compensate.
  const toBeContinued = new Promise<BodyEnd>((resolve) => {
    scope.continueWith = (waiting) => resolve({ kind: 'waiting', waiting });
  });
  return await Promise.race([untilEnded(inWindow(scope, window), body), toBeContinued]);
}

async function untilEnded(scope: RunInWindow, body: FlowBody): Promise<BodyEnd> {
  const inbox: Inbox = {
    get waiting() {
      return scope.inbox.count();
    },
    first: scope.window.first.event,
  };
  const resuming = takeResuming(scope.window, BODY);
  let why: ParkReason | undefined = isCarriedPark(resuming) ? resuming : undefined;
  for (;;) {
    if (why !== undefined) {
      const asked = why;
      const decision = await activeStep(scope, () => parkAt(scope, BODY, asked));
      if (decision.action === 'skip') return ended('skipped', reasonOf(decision));
      if (decision.action === 'abort') return ended('aborted', reasonOf(decision));
      forgetFailures(scope.window);
    }
    scope.window.occurrences.clear();
    scope.window.hasCollected = false;
    try {
      const result = await withRun(scope, () => body(scope.window.first.event, inbox));
      return { kind: 'ended', outcome: 'completed', ...smallJson(result) };
    } catch (error) {
      if (isCancellation(error) || isBug(error)) throw error;
      if (isAborted(error)) return ended('aborted', messageOf(error));
      why = { errorClass: classOf(error), reason: messageOf(error) };
    }
  }
}

const ended = (outcome: Outcome, reason: string): BodyEnd => ({ kind: 'ended', outcome, reason });

const reasonOf = ({ actor, reason }: Resolution): string => `${actor}: ${reason}`;

/** The body's result, when it is JSON and small enough to be kept in the journal. */
function smallJson(result: unknown): { readonly result?: Json } {
  if (result === undefined) return {};
  const text = JSON.stringify(result);
  if (text === undefined || text.length > LIMITS.resultBytesMax) return {};
  return { result: JSON.parse(text) as Json };
}
