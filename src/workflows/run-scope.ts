/**
 * The state of one run, as the engine and its primitives share it. It hangs off the run and is found
 * through AsyncLocalStorage, never through the module: several short runs may later share a workflow.
 */
import { AsyncLocalStorage, workflowInfo } from '@temporalio/workflow';
import { type ErrorClass, TidegateError } from '../model/error.ts';
import type { Delivery, Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type {
  CarriedWindow,
  Decision,
  OpenStep,
  Question,
  RunInput,
  RunStage,
  Voice,
  WindowSummary,
} from '../model/protocol.ts';
import { createInHistory, type InHistory } from './in-history.ts';
import type { RunInbox } from './inbox.ts';
import { createJournal, type RunJournal } from './journal.ts';
import type { EdgeTime } from './leading-edge.ts';
import { createMarkedValues, type MarkedValues } from './marked.ts';
import { stepPrefix } from './step-scope.ts';

/** A step that waits for a person. */
export interface Parked {
  readonly parkId: string;
  readonly step: string;
  readonly errorClass?: ErrorClass;
  readonly reason: string;
  /** What is asked, when it was the flow that asked. */
  question?: Question;
  /** What approvers have said, in the order in which it came. */
  readonly voices: Voice[];
  decision?: Decision;
  /** The step was cancelled while it waited: nobody is asked any more. */
  isWithdrawn?: true;
}

/** The window that the flow's body works on. */
export interface OpenWindow {
  readonly first: Delivery;
  /** Results of finished steps by step id. */
  readonly steps: Map<string, Json>;
  /** How often each step name has been reached by this pass through the body. */
  readonly occurrences: Map<string, number>;
  /** The most flows that an event of this window has passed through. */
  hops: number;
  /** Whether a step of this pass has collected: the next one begins with a new event. */
  hasCollected: boolean;
  /** How often the window has waited for a person. */
  parks: number;
  /** The state that a waiting step left before the run continued as new, until that step takes it. */
  resuming: CarriedWindow['waiting'];
  /** Whether a leading edge has fired for this key already: the window is what followed it. */
  readonly followsLeadingEdge: boolean;
  /** Set when a leading edge fired in this window: what follows waits out the quiet time. */
  edgeTime: EdgeTime | undefined;
  summary: WindowSummary | undefined;
}

export interface RunScope {
  readonly input: RunInput;
  readonly inbox: RunInbox;
  readonly journal: RunJournal;
  readonly inHistory: InHistory;
  readonly marked: MarkedValues;
  window: OpenWindow | undefined;
  stage: RunStage;
  waitingFor: string | undefined;
  readonly parked: Parked[];
  /** Steps that have begun and not ended, by step id, as an operator may look at them. */
  readonly open: Map<string, () => Omit<OpenStep, 'step'>>;
  /** Deliveries seen twice since the run's execution began. */
  duplicates: number;
  /** Whether a step is collecting events now. */
  isCollecting: boolean;
  /** Asks the step that collects to close its window now. */
  flushRequested: boolean;
  /** Steps that have begun and not ended. */
  activeSteps: number;
  signals: number;
  /** Whether the journal has been asked to hold deliveries back; true also while it is being told. */
  held: boolean;
  /** Whether the journal is being told now. */
  isTellingHold: boolean;
  /** Whether a waiting step has handed its state on: this execution ends, and takes nothing in any more. */
  isContinuing: boolean;
  readonly workflowRunId: string;
  /** How many windows this execution has opened. */
  windowsOpened: number;
  /** What the last window's body returned. */
  lastResult: Json;
  /** Ends this execution with the waiting step's state; the waiting step then waits for ever. */
  continueWith: (waiting: NonNullable<CarriedWindow['waiting']>) => void;
}

/** A run with an open window: what code in a flow's body works with. */
export type RunInWindow = RunScope & { window: OpenWindow };

/** A run's state as its execution begins. */
export const createScope = (
  input: RunInput,
  inbox: RunInbox,
  inHistory: InHistory = createInHistory(),
): RunScope => ({
  input,
  inbox,
  journal: createJournal(inHistory),
  inHistory,
  marked: createMarkedValues(input),
  window: undefined,
  stage: 'running',
  waitingFor: undefined,
  parked: [],
  open: new Map(),
  duplicates: 0,
  isCollecting: false,
  flushRequested: false,
  activeSteps: 0,
  signals: 0,
  held: input.carried?.held ?? false,
  isTellingHold: false,
  isContinuing: false,
  workflowRunId: workflowInfo().runId,
  windowsOpened: 0,
  lastResult: null,
  continueWith: () => {},
});

/** The run with this window open. */
export const inWindow = (scope: RunScope, window: OpenWindow): RunInWindow =>
  Object.assign(scope, { window });

const storage = new AsyncLocalStorage<RunScope>();

/** Runs a flow's body with its run at hand. */
export const withRun = <Result>(scope: RunScope, body: () => Promise<Result>): Promise<Result> =>
  storage.run(scope, body);

/**
 * The run that the calling code belongs to, with its open window.
 * @throws TidegateError `flow_invalid` outside a flow's body.
 */
export function currentRun(caller: string): RunInWindow {
  const scope = storage.getStore();
  if (scope?.window === undefined) {
    throw new TidegateError('flow_invalid', `${caller} can only be called in the body of a flow`);
  }
  return scope as RunInWindow;
}

/**
 * The id of the next step of this name: its name and how often the body has come to it. In a branch,
 * both count from the branch's own beginning, so that what runs beside it does not matter.
 */
export function nextStep(window: OpenWindow, name: string): string {
  const scoped = `${stepPrefix()}${name}`;
  const occurrence = (window.occurrences.get(scoped) ?? 0) + 1;
  window.occurrences.set(scoped, occurrence);
  return `${scoped}#${occurrence}`;
}

/** Runs a step as active: a run continues as new only while its one active step is waiting. */
export async function activeStep<Result>(
  scope: RunScope,
  work: () => Promise<Result>,
): Promise<Result> {
  scope.activeSteps += 1;
  try {
    return await work();
  } finally {
    scope.activeSteps -= 1;
  }
}

/** The state this step left before the run continued as new, once. */
export function takeResuming(window: OpenWindow, step: string): unknown {
  if (window.resuming?.step !== step) return undefined;
  const { state } = window.resuming;
  window.resuming = undefined;
  return state;
}

/**
 * Whether this execution has grown enough to continue as new. Our own counters come first:
 * Temporal's suggestion looks at history only, and a run goes deaf after 10,000 signals.
 */
export function isGrown(scope: RunScope): boolean {
  const info = workflowInfo();
  return (
    scope.signals >= LIMITS.signalsPerRunMax ||
    info.historyLength >= LIMITS.historyEventsMax ||
    info.continueAsNewSuggested
  );
}

/**
 * Whether a waiting step may hand its state to a new execution: nothing else is going on. From there
 * to the end of this execution there must be no waiting, in which more could come.
 */
export const mayContinueAsNew = (scope: RunScope): boolean =>
  scope.activeSteps === 1 && !scope.isTellingHold && isGrown(scope);
