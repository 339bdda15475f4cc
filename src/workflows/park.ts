import { workflowInfo } from '@temporalio/workflow';
import type { ErrorClass } from '../model/error.ts';
import type { OpenStep, Question, Resolution, Voice } from '../model/protocol.ts';
import { showErrorClass, showStage } from './details.ts';
import type { OpenWindow, Parked, RunInWindow, RunScope } from './run-scope.ts';
import { waitUntil } from './wait.ts';

/** Why a step waits for a person. */
export interface ParkReason {
  /** Absent when nothing has failed and the flow only asks. */
  readonly errorClass?: ErrorClass;
  readonly reason: string;
  /** What is asked, when it is the flow that asks. */
  readonly question?: Question;
}

/** What a parked step carries across continue-as-new. */
export interface CarriedPark extends ParkReason {
  readonly parkId: string;
  readonly step: string;
  /** Absent in histories of before there were approvals. */
  readonly voices?: readonly Voice[];
  /** What the step itself remembers. */
  readonly memory?: unknown;
}

/** The park that this step was in before the run continued as new. */
export const isCarriedPark = (state: unknown): state is CarriedPark =>
  typeof state === 'object' && state !== null && 'parkId' in state;

/**
 * Takes up the park in which the run continued as new, before anything comes: a decision that
 * arrives before the body has got there again finds it.
 */
export function adoptPark(scope: RunScope): void {
  const waiting = scope.input.carried?.window?.waiting;
  if (waiting !== undefined && isCarriedPark(waiting.state)) {
    scope.parked.push(parkedOf(waiting.state, waiting.step));
  }
}

/** Stops at a step until a person has decided, however long it takes. */
export async function parkAt(
  scope: RunInWindow,
  step: string,
  why: ParkReason | CarriedPark,
): Promise<Resolution> {
  return await whileParked(scope, step, why, async (parked, wait) => {
    showStage(scope, 'parked', `a person must decide about ${step}: retry, skip or abort`);
    await wait({ isOver: () => parked.decision !== undefined, dueAt: () => undefined });
    return parked.decision as Resolution;
  });
}

/** Waits with the park as it stands carried across continue-as-new. */
export type WaitParked = (until: {
  isOver(): boolean;
  dueAt(): number | undefined;
  /** What the step itself remembers. */
  memory?(): unknown;
}) => Promise<void>;

/**
 * Runs `wait` with the step parked: the journal lists the run as a dead letter until it has ended,
 * and keeps how it did.
 */
export async function whileParked(
  scope: RunInWindow,
  step: string,
  why: ParkReason | CarriedPark,
  ask: (parked: Parked, wait: WaitParked) => Promise<Resolution>,
): Promise<Resolution> {
  const parked = openPark(scope, step, why);
  const wait: WaitParked = (until) =>
    waitUntil(scope, {
      step,
      summary: `${step} ${scope.input.key}: waits for a person`,
      isOver: until.isOver,
      dueAt: until.dueAt,
      carry: (): CarriedPark => ({ ...carryPark(parked), ...memoryOf(until) }),
    });
  scope.open.set(step, () => openStep(parked));
  try {
    await tellParked(scope, parked);
    if (parked.errorClass !== undefined) showErrorClass(parked.errorClass);
    const resolution = await ask(parked, wait);
    await scope.journal.resume({
      run: scope.input.run,
      parkId: parked.parkId,
      decision: resolution,
    });
    closePark(scope, parked);
    showStage(scope, 'running', `${resolution.action} of ${step}, decided by ${resolution.actor}`);
    return resolution;
  } catch (error) {
    parked.isWithdrawn = true;
    throw error;
  } finally {
    scope.open.delete(step);
  }
}

/** Tells the journal what is asked; again when that has changed. */
export const tellParked = (scope: RunInWindow, parked: Parked): Promise<void> =>
  scope.journal.park({
    run: scope.input.run,
    workflowRunId: workflowInfo().runId,
    ...described(parked),
  });

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
    await scope.journal.resume({ run: scope.input.run, parkId: parked.parkId, decision });
    closePark(scope, parked);
  }
}

function openPark(scope: RunInWindow, step: string, why: ParkReason | CarriedPark): Parked {
  const parkId = isCarriedPark(why) ? why.parkId : nextParkId(scope.window, step);
  const adopted = scope.parked.find((parked) => parked.parkId === parkId);
  if (adopted !== undefined) return adopted;
  const parked = parkedOf({ ...why, parkId }, step);
  scope.parked.push(parked);
  return parked;
}

const parkedOf = (why: Omit<CarriedPark, 'step'>, step: string): Parked => ({
  parkId: why.parkId,
  step,
  ...(why.errorClass === undefined ? {} : { errorClass: why.errorClass }),
  reason: why.reason,
  ...(why.question === undefined ? {} : { question: why.question }),
  voices: [...(why.voices ?? [])],
});

function closePark(scope: RunInWindow, parked: Parked): void {
  const index = scope.parked.indexOf(parked);
  // Somebody beside it has closed it already.
  if (index === -1) return;
  scope.parked.splice(index, 1);
  if (parked.errorClass === undefined) return;
  const next = scope.parked.find(({ errorClass }) => errorClass !== undefined);
  showErrorClass(next?.errorClass ?? null);
}

const described = ({ parkId, step, errorClass, reason, question }: Parked) => ({
  parkId,
  step,
  ...(errorClass === undefined ? {} : { errorClass }),
  reason,
  ...(question === undefined ? {} : { question }),
});

const carryPark = (parked: Parked): CarriedPark => ({
  ...described(parked),
  ...(parked.voices.length === 0 ? {} : { voices: parked.voices }),
});

const memoryOf = ({ memory }: { memory?(): unknown }) =>
  memory === undefined ? {} : { memory: memory() };

const openStep = ({ errorClass, reason, question, voices }: Parked): Omit<OpenStep, 'step'> => ({
  kind: question?.kind ?? 'park',
  ...(question?.dueAt === undefined ? {} : { dueAt: question.dueAt }),
  standing: reason,
  state: {
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(question === undefined ? {} : { approvers: question.approvers, need: question.need }),
    ...(voices.length === 0
      ? {}
      : { voices: voices.map(({ approver, action, at }) => ({ approver, action, at })) }),
  },
});

// Counted per window and never reset: a step that parks again, also after the body ran anew, is a new
// question to a person.
function nextParkId(window: OpenWindow, step: string): string {
  window.parks += 1;
  return `${window.first.number}/${step}/${window.parks}`;
}
