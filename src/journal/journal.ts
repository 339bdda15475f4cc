/**
 * The journal: the durable store of events, deliveries, runs and decisions.
 *
 * Each run row has three watermarks over its delivery numbers:
 *
 *     settledThrough <= sentThrough <= acceptedThrough
 *
 * A number is given to a delivery inside the transaction that inserts its event, while the run's row
 * is locked; so numbers of a run have no gaps and commit in order. Deliveries above `sentThrough`
 * are the dispatcher's to send; above `settledThrough`, a run's to settle. A settlement row covers
 * a range of numbers, so a window of 100,000 events costs one row. Every accepted delivery lies in
 * exactly one settlement: that is the journal's half of "exactly one outcome".
 */
import type { ErrorClass } from '../model/error.ts';
import type { Delivery, JournalledStatus, TidegateEvent } from '../model/event.ts';
import type { FlowLimits } from '../model/flow-registry.ts';
import type {
  JournalActivities,
  Outcome,
  Question,
  RecordStepInput,
  Resolution,
  Voice,
  WindowSummary,
} from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';

export interface AppendEntry {
  readonly event: TidegateEvent;
  readonly status: JournalledStatus;
  readonly reason?: string;
  readonly deliveries: readonly RoutedDelivery[];
}

export interface DeliveryTarget {
  readonly flow: string;
  readonly key: string;
  readonly run: RunId;
}

export interface RoutedDelivery extends DeliveryTarget {
  /** What the run waits for, when this delivery opens it; absent when nothing delays its flow. */
  readonly limitKeys?: LimitKeys;
}

/** Which runs share a limit with a run: those of its flow and tenant with the same key. */
export interface LimitKeys {
  /** Absent when the flow has no `throttle`. */
  readonly throttle?: string;
  /** Absent when the flow has no `concurrency`. */
  readonly concurrency?: string;
}

/** The limit key when all runs of a flow in a tenant share one limit. */
export const ALL_RUNS = '*';

export interface NumberedDelivery extends DeliveryTarget {
  readonly number: number;
  /** Whether its run waits for a slot; absent when it does not. */
  readonly waits?: true;
}

export interface AppendResult {
  /** `duplicate` when the identity was there before; the first event's counter has been raised. */
  readonly status: JournalledStatus | 'duplicate';
  readonly reason?: string;
  /** The first event's, for a duplicate. */
  readonly correlationId: string;
  readonly deliveries: readonly NumberedDelivery[];
}

/** An event that could not be taken: kept as a dead letter, by its identity where it has one. */
export interface Rejection {
  readonly tenant: string;
  readonly source: string;
  /** The sender's id, or a hash of what came. */
  readonly id: string;
  readonly type?: string;
  readonly code: string;
  readonly message: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** What came, as JSON text, without headers; at most LIMITS.eventBytesMax. */
  readonly body: string;
}

export interface PendingRun {
  readonly run: RunId;
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
  readonly acceptedThrough: number;
  readonly sentThrough: number;
  readonly settledThrough: number;
}

export interface EventRow {
  readonly event: TidegateEvent;
  readonly status: JournalledStatus;
  readonly reason?: string;
  readonly receivedAt: string;
  readonly duplicates: number;
  readonly deliveries: readonly DeliveryRow[];
}
export interface DeliveryRow extends NumberedDelivery {
  /** `pending` in the journal, `sent` to its run, `settled` with an outcome. */
  readonly state: 'pending' | 'sent' | 'settled';
  readonly settlement?: SettlementRow;
}
export interface SettlementRow {
  readonly fromNumber: number;
  readonly throughNumber: number;
  readonly outcome: Outcome;
  readonly reason?: string;
  readonly window?: WindowSummary;
  readonly result?: unknown;
  readonly workflowRunId: string;
  readonly settledAt: string;
}
export interface RunRow extends PendingRun {
  /** `parked` while a person is asked; `open` while anything is unsettled; else `settled`. */
  readonly status: 'open' | 'parked' | 'settled';
  readonly workflowRunId?: string;
  readonly openedAt?: string;
  readonly updatedAt: string;
  readonly dispatchError?: string;
  /** While nothing of it is sent, because its flow's `throttle` or `concurrency` delays it. */
  readonly waitsForSlot?: LimitKeys & { readonly since: string };
  /** The park that waits for a person, else the run's last one. */
  readonly park?: ParkRow;
  /** The latest LIMITS.runSettlementsMax, in the order of their numbers. */
  readonly settlements: readonly SettlementRow[];
}
export interface ParkRow {
  readonly parkId: string;
  readonly step: string;
  /** Absent when nothing has failed and a flow only asks. */
  readonly errorClass?: ErrorClass;
  readonly reason: string;
  readonly parkedAt: string;
  /** What a flow asks, without what makes its links. */
  readonly question?: Omit<Question, 'linkNonce'>;
  /** What its approvers have said, in the order in which it came. */
  readonly voices: readonly Voice[];
  readonly decision?: Resolution;
  readonly decidedAt?: string;
  /** When its window was settled without a decision. */
  readonly closedAt?: string;
}
/** What a step of a run has done so far. */
export interface StepRecordRow {
  /** The number of the delivery that opened the window. */
  readonly window: number;
  readonly step: string;
  readonly kind: RecordStepInput['kind'];
  readonly record: RecordStepInput['record'];
  readonly updatedAt: string;
}

/** Anything that needs a person. */
export type DeadLetter =
  | ({ readonly kind: 'rejected'; readonly receivedAt: string; readonly count: number } & Rejection)
  | ({
      readonly kind: 'parked';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
    } & ParkRow)
  | ({
      readonly kind: 'lost';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
    } & SettlementRow);

/** What a connector's fake would have sent to the outside system. */
export interface OutboxEntry {
  readonly idempotencyKey: string;
  readonly connector: string;
  readonly operation: string;
  readonly run: RunId;
  readonly input: unknown;
}

/** The runs that were let begin, and when to look next. */
export interface Admissions {
  readonly admitted: readonly PendingRun[];
  /** When time lets the next one begin, from now; absent when no run waits. */
  readonly nextInMs?: number;
}

export interface Page {
  readonly limit?: number;
  /** The cursor that the previous page gave. */
  readonly after?: string;
}
export interface Paged<Row> {
  readonly rows: readonly Row[];
  readonly next?: string;
}

export interface Journal {
  /**
   * Commits events and their deliveries in one transaction, grouped with concurrent calls. Resolves
   * after the commit, one result per entry in order. An identity that comes twice in one call is a
   * duplicate the second time.
   * @throws TidegateError `journal_unavailable`: nothing of this call was kept as far as is known;
   * `backlog_full`: too much waits for the journal already; `invalid_event`: an attribute is not
   * storable, nothing of this call was kept.
   */
  append(entries: readonly AppendEntry[]): Promise<readonly AppendResult[]>;
  /** Keeps refused events; one that comes again raises its count. */
  reject(rejections: readonly Rejection[]): Promise<void>;

  /** Renews this holder's lanes and takes every free or expired one; returns those held now. */
  leaseLanes(holder: string, ttlMs: number): Promise<readonly number[]>;
  releaseLanes(holder: string): Promise<void>;
  /**
   * Lets runs begin that wait for a slot of their flow's `throttle` or `concurrency`: all for which
   * there is one, the oldest first, in any lane. Any number of processes may call it at once. Flows
   * that are not named have no limit.
   */
  admit(limits: ReadonlyMap<string, FlowLimits>): Promise<Admissions>;
  /** Has the next `admit` look at every run that waits, for limits that have changed. */
  reviewWaiting(): Promise<void>;
  /** Runs in these lanes with deliveries to send, oldest first; without those that are held or wait for a slot. */
  pendingRuns(lanes: readonly number[], limit: number): Promise<readonly PendingRun[]>;
  /** Whether the run's inbox is full: it has asked to be sent nothing for now. */
  isHeld(run: RunId): Promise<boolean>;
  /**
   * Deliveries of a run above a number, in order, bounded in count and bytes, at least one when there
   * is one; none while the run waits for a slot.
   */
  deliveriesAfter(
    run: RunId,
    after: number,
    bounds: { readonly count: number; readonly bytes: number },
  ): Promise<readonly Delivery[]>;
  /** Raises `sentThrough`; never lowers it. Refused silently for lanes this holder has lost. */
  markSent(
    holder: string,
    marks: readonly { readonly run: RunId; readonly through: number }[],
  ): Promise<void>;
  /** Notes why a run's deliveries could not be sent; cleared by the next markSent, or when the run is settled. */
  markDispatchFailed(run: RunId, error: string): Promise<void>;
  /**
   * Runs sent but unsettled, untouched for `idleMs`: candidates for a look at Temporal.
   * Being given out counts as a touch, so that the next call gives out others.
   */
  doubtfulRuns(
    lanes: readonly number[],
    idleMs: number,
    limit: number,
  ): Promise<readonly PendingRun[]>;
  /** Settles a run's deliveries through a number as `lost`, for dead letters. */
  settleLost(run: RunId, through: number, reason: string): Promise<void>;

  /** What runs write, by the names of the local activities. */
  readonly activities: JournalActivities;
  /** Keeps what a fake would have sent; false when this idempotency key was kept before. */
  recordOutbox(entry: OutboxEntry): Promise<boolean>;

  listEvents(
    filter: {
      readonly tenant?: string;
      readonly type?: string;
      readonly source?: string;
      readonly status?: string;
      readonly correlationId?: string;
    },
    page: Page,
  ): Promise<Paged<EventRow>>;
  /** Events with this id, from any source. */
  findEvents(tenant: string | undefined, id: string): Promise<readonly EventRow[]>;
  listRuns(
    filter: { readonly tenant?: string; readonly flow?: string; readonly status?: string },
    page: Page,
  ): Promise<Paged<RunRow>>;
  findRun(run: RunId): Promise<RunRow | undefined>;
  findPark(run: RunId, parkId: string): Promise<ParkRow | undefined>;
  /** What a flow asks at a park, with what makes its links. */
  findQuestion(run: RunId, parkId: string): Promise<Question | undefined>;
  /** What the steps of a run's newest window have done, in order, the first LIMITS.runRecordsMax. */
  stepRecords(run: RunId): Promise<readonly StepRecordRow[]>;
  listDeadLetters(page: Page): Promise<Paged<DeadLetter>>;
  listOutbox(
    filter: { readonly run?: string },
    page: Page,
  ): Promise<Paged<OutboxEntry & { readonly recordedAt: string }>>;
  /**
   * Counts that cost nothing: runs with unsent deliveries (capped at 10,000) and the age of the oldest;
   * without those that wait for a slot.
   */
  backlog(): Promise<{ readonly runs: number; readonly oldestAgeMs: number }>;

  /** Answers within a second or throws `journal_unavailable`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The lane of a run: a stable hash of its id, 0 to 63. */
export const LANES = 64;
