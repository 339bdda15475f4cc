/**
 * What the dispatcher, a run and its journal activities say to each other. These shapes are stored
 * in Temporal histories: add optional fields, never change or remove one.
 */
import type { DeliveryBatch } from './delivery-batch.ts';
import type { ErrorClass } from './error.ts';
import type { Delivery, JournalledStatus, Json, TidegateEvent } from './event.ts';
import type { RunId } from './run.ts';

/** The signal that hands deliveries to a run: `[DeliveryBatch]`. */
export const DELIVER_SIGNAL = 'deliver';
/** The update by which a person decides what a waiting run does: `[Decision]` → `DecisionReceipt`. */
export const DECIDE_UPDATE = 'decide';
/** The query that tells what a run is doing: `[]` → `RunView`. */
export const RUN_QUERY = 'run';

/** The task queue of flows and operations. */
export const TASK_QUEUE = 'tidegate';

/** The search attributes of every run, all of type Keyword. */
export const SEARCH_ATTRIBUTES = {
  tenant: 'TidegateTenant',
  key: 'TidegateKey',
  source: 'TidegateSource',
  correlationId: 'TidegateCorrelationId',
  stage: 'TidegateStage',
  errorClass: 'TidegateErrorClass',
} as const;

/** Where a run is: what the search attribute `TidegateStage` and the journal say. */
export type RunStage = 'running' | 'waiting' | 'parked' | 'settled';

/** The one argument of a run's workflow. */
export interface RunInput {
  readonly run: RunId;
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
  /** By event type, the paths of fields that are marked `pii`: what the run shows of itself has a mask there. */
  readonly marked?: Readonly<Record<string, readonly string[]>>;
  /**
   * `first` when Temporal was told to begin this execution only if it knows of no other of this run: nothing
   * of the run can be settled yet. Absent when an older Tidegate began it: what it did then must replay.
   */
  readonly execution?: 'first' | 'later';
  /** What the first execution begins with; all that comes later is signalled. */
  readonly deliveries?: DeliveryBatch;
  /** When the first execution was asked for, in milliseconds since 1970, by the clock of who asked. */
  readonly askedAt?: number;
  /** What the run was doing when it continued as new; absent in its first execution. */
  readonly carried?: CarriedRun;
}

/** Everything a run keeps across continue-as-new. */
export interface CarriedRun {
  /** The highest delivery number that any execution of this run has taken in. */
  readonly seenThrough: number;
  /** Deliveries not yet taken by a window. The first is the next window's `first`. */
  readonly inbox: readonly Delivery[];
  /** The window that was open, absent when the run was between windows. */
  readonly window?: CarriedWindow;
  /** Whether the run has asked to be sent nothing for now. */
  readonly held?: boolean;
  /** The quiet time after a leading edge, when it was running. */
  readonly edgeTime?: unknown;
}

export interface CarriedWindow {
  readonly first: Delivery;
  /** Results of the steps that the body has finished, by step id; it runs again from its start and skips them. */
  readonly steps: Readonly<Record<string, Json>>;
  /** How often the window has waited for a person. */
  readonly parks: number;
  /** The most flows that an event of the window has passed through. @default those of `first` */
  readonly hops?: number;
  /** Whether the window is what followed a leading edge. */
  readonly followsLeadingEdge: boolean;
  /** The state of the primitive that was waiting, by step id. */
  readonly waiting?: { readonly step: string; readonly state: unknown };
  /** The quiet time to wait out after the window, when a leading edge fired in it. */
  readonly edgeTime?: unknown;
  readonly summary?: WindowSummary;
}

/** How a window's deliveries ended. */
export const OUTCOMES = [
  /** The flow's body returned. */
  'completed',
  /** Taken during the quiet time after a leading edge: nothing was left to do. */
  'suppressed',
  /** A person skipped the window. */
  'skipped',
  /** A person aborted, or the run was cancelled and the flow let it end. */
  'aborted',
  'cancelled',
  /** The run ended outside the flow's control: terminated, timed out, over a limit. A dead letter. */
  'lost',
  /** Never handed to the run: Temporal refused it, and the run went on without. A dead letter. */
  'undeliverable',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Journal activity `journal.open`: the run's execution begins. */
export interface OpenRunInput {
  readonly run: RunId;
  readonly workflowRunId: string;
  /** The lowest number in the inbox: what lies between it and the last settlement was lost with an earlier execution. */
  readonly firstNumber: number;
}
export interface OpenRunResult {
  /** Deliveries up to this number have their outcome already: drop them. */
  readonly settledThrough: number;
}

/** Journal activity `journal.settle`: deliveries up to `through` have their outcome. Idempotent. */
export interface SettleRunInput {
  readonly run: RunId;
  readonly workflowRunId: string;
  readonly through: number;
  readonly outcome: Outcome;
  /** Why, in words, for every outcome but `completed`. */
  readonly reason?: string;
  /** What the window was, when the flow collected one. */
  readonly window?: WindowSummary;
  /** The result of the flow's body, when it is JSON and small. */
  readonly result?: Json;
}
export interface WindowSummary {
  readonly count: number;
  readonly closedBy: string;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Journal activity `journal.park`: the run waits for a person. Idempotent by `parkId`. */
export interface ParkRunInput {
  readonly run: RunId;
  readonly workflowRunId: string;
  readonly parkId: string;
  readonly step: string;
  /** Absent when nothing has failed and a flow only asks. */
  readonly errorClass?: ErrorClass;
  readonly reason: string;
  /** What is asked, when a flow asks by `park` or `approval`. The last one given holds. */
  readonly question?: Question;
}

/** What a flow asks of people: what the approval page shows. */
export interface Question {
  readonly kind: 'park' | 'approval';
  readonly title: string;
  /** What those who decide need to know. */
  readonly context?: Json;
  /** Who may approve or reject; empty when any operator may decide. */
  readonly approvers: readonly string[];
  /** How many of them it takes. */
  readonly need: number;
  /** When nobody can decide any more, in milliseconds since 1970. */
  readonly dueAt?: number;
  /** With approvers: a random text that the references to their links carry (`approval-link.ts`). */
  readonly linkNonce?: string;
}

/** What one of the approvers said. */
export interface Voice {
  readonly approver: string;
  readonly action: 'approve' | 'reject';
  readonly reason: string;
  /** In milliseconds since 1970, on the run's clock. */
  readonly at: number;
  readonly via: 'link' | 'api';
}

/** Journal activity `journal.voice`: one of the approvers has said something. Idempotent by approver. */
export interface VoiceRunInput {
  readonly run: RunId;
  readonly parkId: string;
  readonly voice: Voice;
}

/** Journal activity `journal.resume`: the park is over. Idempotent by `parkId`. */
export interface ResumeRunInput {
  readonly run: RunId;
  readonly parkId: string;
  readonly decision: Resolution;
}

/** How a park ended: a decision, or nobody decided in time. */
export type Resolution = Omit<Decision, 'action'> & {
  readonly action: DecisionAction | 'expired';
};

/** Journal activity `journal.record`: what a step has done so far, for people. The last one holds. */
export interface RecordStepInput {
  readonly run: RunId;
  /** The number of the delivery that opened the window. */
  readonly window: number;
  readonly step: string;
  readonly kind: 'saga';
  readonly record: Json;
}

/** Journal activity `journal.hold`: the run's inbox is full, or has room again. Idempotent. */
export interface HoldRunInput {
  readonly run: RunId;
  readonly held: boolean;
}

/** Activity `tidegate.emit`: an event of a flow goes through the stages of the ingress. Idempotent by `identity`. */
export interface EmitInput {
  /** Run, delivery and step: the same for every attempt, and for no other event. Becomes the event's id. */
  readonly identity: string;
  readonly step: string;
  readonly event: Omit<TidegateEvent, 'id' | 'specversion' | 'schemaversion' | 'actor'>;
}

/** What became of an emitted event. */
export interface Emitted {
  /** The id of the event, of the source `tidegate/<flow>`. */
  readonly id: string;
  /** As over HTTP. A repeat is no `duplicate` to the flow: it gives what the first attempt came to. */
  readonly status: Exclude<JournalledStatus, 'echo'>;
}

/** The local activity by which a flow emits events; the worker registers it by this name. */
export interface EmitActivities {
  'tidegate.emit': (input: EmitInput) => Promise<Emitted>;
}

/** Journal activity `journal.readEvents`: deliveries of the run after a number, in order, as many as fit. */
export interface ReadEventsInput {
  readonly run: RunId;
  readonly after: number;
  readonly through: number;
  readonly limit: number;
}

/** The local activities by which a run uses the journal; the worker registers them by these names. */
export interface JournalActivities {
  'journal.open': (input: OpenRunInput) => Promise<OpenRunResult>;
  'journal.settle': (input: SettleRunInput) => Promise<void>;
  'journal.park': (input: ParkRunInput) => Promise<void>;
  'journal.voice': (input: VoiceRunInput) => Promise<void>;
  'journal.resume': (input: ResumeRunInput) => Promise<void>;
  'journal.hold': (input: HoldRunInput) => Promise<void>;
  'journal.record': (input: RecordStepInput) => Promise<void>;
  'journal.readEvents': (input: ReadEventsInput) => Promise<readonly Delivery[]>;
}

export const DECISION_ACTIONS = ['retry', 'skip', 'abort', 'flush', 'approve', 'reject'] as const;
export type DecisionAction = (typeof DECISION_ACTIONS)[number];

/** What a person decided about a waiting run. */
export interface Decision {
  readonly action: DecisionAction;
  /** Why; it is kept in the audit. */
  readonly reason: string;
  /** Who decided; with `approve` and `reject`, one of the approvers. */
  readonly actor: string;
  /** How it came. @default 'api' */
  readonly via?: 'link' | 'api';
  /** With `skip`: the value that the skipped step returns to the flow. */
  readonly input?: Json;
  /** The park it is meant for: a run that waits at another one refuses it with `run_not_waiting`. */
  readonly parkId?: string;
}
export interface DecisionReceipt {
  readonly parkId: string;
  readonly action: DecisionAction;
}

/** What a run tells about itself while it is open. */
export interface RunView {
  readonly stage: RunStage;
  readonly waitingFor?: string;
  readonly seenThrough: number;
  readonly inboxCount: number;
  /** What waits for a person first. */
  readonly parked?: {
    readonly parkId: string;
    readonly step: string;
    readonly errorClass?: ErrorClass;
    readonly reason: string;
  };
  /** Every step that is open: windows, quorums, waits, parks, approvals, sagas. */
  readonly open: readonly OpenStep[];
}

/** A step that has begun and not ended. */
export interface OpenStep {
  readonly step: string;
  /** The primitive: `debounce`, `aggregate`, `quorum`, `waitFor`, `park`, `approval`, `saga`. */
  readonly kind: string;
  /** When it will end by itself if nothing comes, in milliseconds since 1970. */
  readonly dueAt?: number;
  /** How it stands, in words. */
  readonly standing: string;
  /** How it stands, as data; a shape of its own for each kind. */
  readonly state?: Json;
}

/** The one argument of an operation's activity; its activity type is `<connector>.<operation>`. */
export interface OperationCall {
  readonly connector: string;
  readonly operation: string;
  readonly input: Json;
  /** The same for every attempt of one step of one run, and for no other. */
  readonly idempotencyKey: string;
  readonly run: RunId;
  readonly tenant: string;
  readonly correlationId: string;
}

/**
 * The first of an operation failure's `details`. The `type` of the failure is its ErrorClass. A
 * failure that reaches the workflow is final: all retries that the class allows are used up.
 */
export interface OperationFailureDetails {
  readonly connector: string;
  readonly operation: string;
  /** Calls made in all, those that were throttled included. */
  readonly attempts: number;
  readonly idempotencyKey: string;
}

/** Where an operation sends its heartbeats and how soon a dead worker's call is given to another. */
export const OPERATION_HEARTBEAT_MS = 10_000;
/** The longest that one attempt of an operation may take, whatever its `timeout` says. */
export const OPERATION_ATTEMPT_MS_MAX = 600_000;
