import { condition, workflowInfo } from '@temporalio/workflow';
import type { ErrorClass } from '../model/error.ts';
import type { Decision } from '../model/protocol.ts';
import { showErrorClass, showStage } from './details.ts';
import { journal } from './journal.ts';
import { mayContinueAsNew, type OpenWindow, type Parked, type RunInWindow } from './run-scope.ts';

export interface ParkReason {
  readonly errorClass: ErrorClass;
  readonly reason: string;
}

/** What a parked step carries across continue-as-new. */
interface CarriedPark extends ParkReason {
  readonly parkId: string;
}

/** The park that this step was in before the run continued as new. */
export const isCarriedPark = (state: unknown): state is CarriedPark =>
  typeof state === 'object' && state !== null && 'parkId' in state;

/**
 * Stops at a step and waits for a person's decision, however long it takes. The journal lists the
 * run as a dead letter meanwhile.
 */
export async function parkAt(
  scope: RunInWindow,
  step: string,
  why: ParkReason | CarriedPark,
): Promise<Decision> {
  const parked: Parked = {
    parkId: isCarriedPark(why) ? why.parkId : nextParkId(scope.window, step),
    step,
    errorClass: why.errorClass,
    reason: why.reason,
  };
  scope.parked.push(parked);
  try {
    await journal.park({
      run: scope.input.run,
      workflowRunId: workflowInfo().runId,
      ...describe(parked),
    });
    showErrorClass(parked.errorClass);
    showStage(scope, 'parked', `a person must decide about ${step}: retry, skip or abort`);
    await condition(() => parked.decision !== undefined || mayContinueAsNew(scope));
  } catch (error) {
    parked.isWithdrawn = true;
    throw error;
  }
  const { decision } = parked;
  if (decision === undefined) {
    scope.continueWith({ step, state: describe(parked) });
    return await new Promise<never>(() => {});
  }
  await journal.resume({ run: scope.input.run, parkId: parked.parkId, decision });
  scope.parked.splice(scope.parked.indexOf(parked), 1);
  showErrorClass(scope.parked[0]?.errorClass ?? null);
  showStage(scope, 'running', `${decision.action} of ${step}, decided by ${decision.actor}`);
  return decision;
}

/**
 * Takes back the questions of cancelled steps, for a run that goes on after its cancellation: the
 * journal would go on asking them beside those that matter now.
 */
export async function withdrawParks(scope: RunInWindow): Promise<void> {
  for (const parked of scope.parked.filter(({ isWithdrawn }) => isWithdrawn)) {
    const decision = {
      action: 'abort',
      reason: 'the step was cancelled',
      actor: 'tidegate',
    } as const;
    await journal.resume({ run: scope.input.run, parkId: parked.parkId, decision });
    scope.parked.splice(scope.parked.indexOf(parked), 1);
    showErrorClass(scope.parked[0]?.errorClass ?? null);
  }
}

const describe = ({ parkId, step, errorClass, reason }: Parked) => ({
  parkId,
  step,
  errorClass,
  reason,
});

// Counted per window and never reset: a step that parks again, also after the body ran anew, is a new
// question to a person.
function nextParkId(window: OpenWindow, step: string): string {
  window.parks += 1;
  return `${window.first.number}/${step}/${window.parks}`;
}
