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
import type { ObjectChange } from '../model/change.ts';
import type { ErrorClass, ErrorCode } from '../model/error.ts';
import type { Delivery, JournalledStatus, Json, TidegateEvent } from '../model/event.ts';
import type { FlowLimits, Fuse } from '../model/flow-registry.ts';
import type {
  JournalActivities,
  Outcome,
  Question,
  RecordStepInput,
  Resolution,
  Voice,
  WindowSummary,
} from '../model/protocol.ts';
import type { Retention } from '../model/retention.ts';
import type { RunId } from '../model/run.ts';

export interface AppendEntry {
  readonly event: TidegateEvent;
  readonly status: JournalledStatus;
  readonly reason?: string;
  readonly deliveries: readonly RoutedDelivery[];
  /** The flows that could not decide. @default none */
  readonly held?: readonly HeldDelivery[];
  /** What the event came in; events of one delivery have the same object. @default it is not kept */
  readonly raw?: RawDelivery;
}

/** A verified webhook delivery, as far as its verification needs it. */
export interface RawDelivery {
  /** The name of the source. */
  readonly source: string;
  readonly receivedAt: Date;
  readonly method: string;
  /** The address as its sender has called it; absent where the scheme does not sign it. */
  readonly url?: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Byte for byte. */
  readonly body: Uint8Array;
}

/** Deliveries as they came, kept for a time to be verified again. */
export interface RawDeliveries {
  /** What an event came in first; undefined when it is not kept. */
  find(event: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>): Promise<RawDelivery | undefined>;
  /** Deletes what came before this time; how many. */
  deleteBefore(before: Date): Promise<number>;
}

/** A flow that could not decide about an event, because its `where`, `key` or a `by` failed. */
export interface HeldDelivery {
  readonly flow: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface DeliveryTarget {
  readonly flow: string;
  readonly key: string;
  readonly run: RunId;
}

export interface RoutedDelivery extends DeliveryTarget {
  /** What the run waits for, when this delivery opens it; absent when nothing delays its flow. */
  readonly limitKeys?: LimitKeys;
  /** Of an event that a flow made: the fuse that it counts towards. */
  readonly fuse?: Fuse;
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
  /** Whether its run waits for a slot or its fuse has tripped; absent when it may be sent. */
  readonly waits?: true;
}

export interface AppendResult {
  /** `duplicate` when the identity was there before; the first event's counter has been raised. */
  readonly status: JournalledStatus | 'duplicate';
  readonly reason?: string;
  /** The first event's, for a duplicate. */
  readonly correlationId: string;
  readonly deliveries: readonly NumberedDelivery[];
  /** Absent when every flow could decide, and for a duplicate. */
  readonly held?: readonly HeldDelivery[];
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
  /** Made by code of this project, a flow or a source's mapping, and not by a sender. */
  readonly isOurs?: true;
}

/** The lanes that one holder has. */
export interface LaneLease {
  readonly lanes: readonly number[];
  /** How many it is to have. Those above it are for others: it releases them when nothing is in flight. */
  readonly share: number;
}

export interface PendingRun {
  readonly run: RunId;
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
  readonly acceptedThrough: number;
  readonly sentThrough: number;
  readonly settledThrough: number;
  /** The Temporal namespace that its workflow is in, or was last; absent where none is named. */
  readonly namespace?: string;
}

/** Where the workflow of a run is. */
export interface RunPlace {
  readonly taskQueue: string;
  /** Absent: the namespace that the process is configured for. */
  readonly namespace?: string;
}

export interface EventRow {
  readonly event: TidegateEvent;
  readonly status: JournalledStatus;
  readonly reason?: string;
  readonly receivedAt: string;
  readonly duplicates: number;
  /** When its data was erased, because its time was over: `event.data` is null since then. */
  readonly erasedAt?: string;
  readonly deliveries: readonly DeliveryRow[];
  /** The flows that could not decide; absent when all could. */
  readonly held?: readonly HeldRow[];
}
export interface HeldRow extends HeldDelivery {
  /** Its name among the dead letters. */
  readonly deadLetter: string;
  readonly heldAt: string;
  readonly attempts: number;
  /** Absent while it is open. */
  readonly closed?: Closed;
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
  /** When its fuse tripped; nothing of it is sent until an operator resets it. */
  readonly fuseTrippedAt?: string;
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
export type DeadLetter = {
  /** What it is called for `retry` and `discard`: its kind and a number, such as `held-12`. */
  readonly deadLetter: string;
} & (
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
    } & SettlementRow)
  | ({
      readonly kind: 'held';
      readonly tenant: string;
      readonly heldAt: string;
      readonly attempts: number;
      readonly event: Pick<TidegateEvent, 'id' | 'source' | 'type' | 'correlationid'>;
    } & HeldDelivery)
  | ({
      readonly kind: 'fused';
      readonly code: 'fuse_tripped';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
      readonly key: string;
    } & FuseTrip)
);

/** A run that flows have given too much: nothing of it is sent. */
export interface FuseTrip {
  readonly trippedAt: string;
  /** What flows had given it in the fuse's time. */
  readonly count: number;
  readonly fuse: Fuse;
  /** The event that was one too many, and how it came: `orderSync(7) → crmSync(7) → orderSync(7)`. */
  readonly eventId: string;
  readonly chain: string;
  /** Deliveries that wait until an operator resumes the run. */
  readonly held: number;
}

/** What became of a dead letter. */
export type Closing =
  /** A person says that nothing is to be done. */
  | 'discarded'
  /** Held: the flow takes the event now. */
  | 'delivered'
  /** Held: the flow does not want it. */
  | 'filtered'
  /** Rejected or lost: it went in again. */
  | 'retried'
  /** Parked: a person has decided, or its window is over. */
  | 'decided'
  /** Fused: its run goes on. */
  | 'resumed'
  /** Rejected: its sender has sent it again, and it was taken. */
  | 'sent_again';

export interface Closed {
  readonly at: string;
  readonly how: Closing;
  /** Who closed it; absent when no person did. */
  readonly by?: string;
}

export interface DeadLetterName {
  readonly kind: DeadLetter['kind'];
  readonly number: number;
}

/** A dead letter with what a retry needs. */
export interface FoundDeadLetter {
  readonly letter: DeadLetter;
  /** Absent while it is open. */
  readonly closed?: Closed;
  /** The event that is held, or the first of the lost ones. */
  readonly event?: TidegateEvent;
}

/** Who acts and why: kept with what is done, and in the audit. */
export interface Act {
  readonly actor: string;
  readonly reason: string;
}

/** What a person does about dead letters and events. Each act and its audit entry are one transaction. */
export interface Redelivery {
  find(name: DeadLetterName): Promise<FoundDeadLetter | undefined>;
  /** False when it is closed already. Not for a parked run, which needs a decision. */
  discard(name: DeadLetterName, act: Act): Promise<boolean>;
  /**
   * Ends the hold of a delivery: delivered to its run, filtered, or held for another reason.
   * Undefined when it is closed already; else the new delivery, where there is one.
   */
  decideHeld(
    number: number,
    verdict: RoutedDelivery | 'filtered' | HeldDelivery,
    act: Act,
  ): Promise<readonly NumberedDelivery[] | undefined>;
  /**
   * Gives the deliveries of a lost range new numbers in the same run. Undefined when that was done
   * before, so that it cannot happen twice.
   */
  redeliverLost(
    number: number,
    limitKeys: LimitKeys | undefined,
    act: Act,
  ): Promise<readonly NumberedDelivery[] | undefined>;
  /** Notes that a rejected event was taken on a person's retry, which has closed it. */
  noteRetried(number: number, actor: string): Promise<void>;
  /**
   * Delivers an event to flows that it was never delivered to; to the others it does nothing. Closes
   * what is held of it for them.
   */
  deliverEvent(
    event: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>,
    targets: readonly RoutedDelivery[],
    act: Act,
  ): Promise<readonly NumberedDelivery[]>;
}

/** An entry of the audit as it is written: no credentials and no data of events. */
export interface AuditEntry {
  /** Who acted, such as a name that an API key has. */
  readonly actor: string;
  /** What was done, such as `dead_letter.discard`. */
  readonly action: string;
  /** To what, such as `held-12` or the id of a run. */
  readonly target: string;
  readonly tenant?: string;
  readonly reason?: string;
  readonly details?: Json;
  /** What makes it the same act, so that it is written once however often it is repeated. */
  readonly act?: string;
}
export interface AuditRow extends Omit<AuditEntry, 'act'> {
  readonly at: string;
}
export interface AuditFilter {
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly tenant?: string;
  /** From this time on, RFC 3339. */
  readonly from?: string;
  /** Before this time. */
  readonly to?: string;
}
/** Who did what to what, when and why. Entries are written and read: nothing changes or deletes one. */
export interface Audit {
  record(entry: AuditEntry): Promise<void>;
  /** The latest first. */
  list(filter: AuditFilter, page: Page): Promise<Paged<AuditRow>>;
}

export type DeadLetterCounts = Readonly<Record<DeadLetter['kind'], number>>;

/** What waits to be sent. */
export interface Backlog {
  /** Counted to 10,000. */
  readonly runs: number;
  /** Of more runs than that an estimate, never too low. */
  readonly deliveries: number;
  readonly oldestAgeMs: number;
}

/** A write that is about to go out. */
export interface ConnectorWrite {
  /** The same for every attempt: it is recorded once. */
  readonly idempotencyKey: string;
  readonly tenant: string;
  readonly run: RunId;
  /** `<connector>.<operation>` */
  readonly operation: string;
  readonly change: ObjectChange;
  /** How long its echo may take. */
  readonly echoMs: number;
}

/** An event that tells of a change. */
export interface ChangeEvent {
  readonly event: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>;
  readonly change: ObjectChange;
}

/** Whose echo an event is. */
export interface WrittenBy {
  readonly run: RunId;
  readonly operation: string;
}

/** A run that was just given an event that a flow made. */
export interface FuseCheck {
  readonly run: RunId;
  readonly fuse: Fuse;
  readonly event: TidegateEvent;
}

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

/** An API key as it may be shown. */
export interface ApiKeyRow {
  readonly id: string;
  /** Who its holder is, for decisions and logs; several keys may share it. */
  readonly name: string;
  /** Null for every tenant. */
  readonly tenant: string | null;
  /** Patterns of the event types that it may send. */
  readonly types: readonly string[];
  readonly actions: readonly string[];
  readonly createdAt: string;
  readonly createdBy: string;
  readonly notBefore?: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
  /** When it was last used, to the minute; absent for one that never was. */
  readonly lastUsedAt?: string;
}
export interface StoredApiKey extends ApiKeyRow {
  /** SHA-256 of its secret, in hex. */
  readonly hash: string;
}
export interface NewApiKey extends Pick<StoredApiKey, 'id' | 'hash' | 'createdBy'> {
  readonly createdAt: Date;
  readonly expiresAt?: Date;
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

/** What one round of the retention has done. */
export interface Erased {
  /** Events that have lost their data. */
  readonly events: number;
  readonly rejections: number;
  /** Events that are not remembered any more. */
  readonly forgotten: number;
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

  /**
   * Renews this holder's lanes and takes free or expired ones up to its share: as many as there are
   * for each holder that has leased within its time.
   */
  leaseLanes(holder: string, ttlMs: number): Promise<LaneLease>;
  /** Gives up these lanes; without any named, all, and the holder's share of them. */
  releaseLanes(holder: string, lanes?: readonly number[]): Promise<void>;
  /** Tells the processes that hold these lanes that there is something to send. Nobody has to hear it. */
  wake(lanes: readonly number[]): Promise<void>;
  /** Listens to `wake` of any process on this journal, as far as it is heard; ends when it is closed. */
  onWake(listener: (lanes: readonly number[]) => void): void;
  /**
   * Lets runs begin that wait for a slot of their flow's `throttle` or `concurrency`: all for which
   * there is one, the oldest first, in any lane. Any number of processes may call it at once. Flows
   * that are not named have no limit.
   */
  admit(limits: ReadonlyMap<string, FlowLimits>): Promise<Admissions>;
  /** Has the next `admit` look at every run that waits, for limits that have changed. */
  reviewWaiting(): Promise<void>;
  /** Runs in these lanes with deliveries to send, the oldest of each tenant, then the second of each; without those that are held or wait for a slot. */
  pendingRuns(lanes: readonly number[], limit: number): Promise<readonly PendingRun[]>;
  /** Whether the run's inbox is full, so that it has asked to be sent nothing, or its fuse has tripped. */
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
  /**
   * Says where a run is to be sent: where it was sent before while anything of that is unsettled,
   * else to this place, which is kept before anything is sent there.
   */
  placeRun(run: RunId, place: RunPlace): Promise<RunPlace>;
  /** Whether any open run has a place that it was given so. */
  hasPlacedRuns(): Promise<boolean>;
  /** Settles a run's deliveries through a number as `lost`, for dead letters. */
  settleLost(run: RunId, through: number, reason: string): Promise<void>;

  /** What runs write, by the names of the local activities. */
  readonly activities: JournalActivities;
  /** Keeps what a connector is about to write, once per idempotency key: its webhook is an echo. */
  recordWrite(write: ConnectorWrite): Promise<void>;
  /** Forgets a write that was not carried out. */
  withdrawWrite(idempotencyKey: string): Promise<void>;
  /** Which events are echoes of writes, and of whose; the same event again gets the same answer. */
  claimEchoes(told: readonly ChangeEvent[]): Promise<readonly (WrittenBy | undefined)[]>;
  /** The runs by which a story has come to an event, the first one first. */
  ancestorsOf(event: TidegateEvent): Promise<readonly RunId[]>;
  /** Trips the fuse of runs that were given too much; the runs whose fuse has tripped, now or before. */
  tripFuses(checks: readonly FuseCheck[]): Promise<ReadonlySet<RunId>>;
  /** Lets a run go on whose fuse has tripped; whether it had. The same reset again gives the same answer. */
  resetFuse(run: RunId, act: Act): Promise<boolean>;

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
  /** Erases event data whose time is over; what is open stays. One process at a time. */
  eraseDue(retention: Retention, now: Date): Promise<Erased>;
  /** Events of these types that were delivered to these runs, the latest LIMITS.maskEventsMax of each. */
  eventsOfRuns(
    runs: readonly RunId[],
    types: readonly string[],
  ): Promise<ReadonlyMap<RunId, readonly TidegateEvent[]>>;
  /** Open ones of every kind, or of one; only a rejected one has no flow. */
  listDeadLetters(
    page: Page,
    filter?: {
      readonly kind?: string;
      readonly tenant?: string;
      readonly flow?: string;
    },
  ): Promise<Paged<DeadLetter>>;
  readonly redelivery: Redelivery;
  readonly audit: Audit;
  readonly rawDeliveries: RawDeliveries;
  listOutbox(
    filter: { readonly run?: string; readonly tenant?: string },
    page: Page,
  ): Promise<Paged<OutboxEntry & { readonly recordedAt: string }>>;
  /** Deliveries that could be sent now and have not been; without runs that wait for something themselves. */
  backlog(): Promise<Backlog>;
  /** Open dead letters by kind, each counted to 10,000. */
  countDeadLetters(): Promise<DeadLetterCounts>;

  readonly apiKeys: {
    create(
      key: NewApiKey &
        Pick<ApiKeyRow, 'name' | 'tenant' | 'types' | 'actions'> & { readonly notBefore?: Date },
    ): Promise<ApiKeyRow>;
    list(filter: { readonly tenant?: string }, page: Page): Promise<Paged<ApiKeyRow>>;
    find(id: string): Promise<StoredApiKey | undefined>;
    /**
     * Makes a key for the same as one that is still good, which ends at `oldUntil` if not before;
     * undefined when there is none such.
     */
    replace(
      id: string,
      by: NewApiKey & { readonly oldUntil: Date },
    ): Promise<ApiKeyRow | undefined>;
    /** Ends a key; again changes nothing. Undefined when there is none. */
    revoke(id: string, at: Date): Promise<ApiKeyRow | undefined>;
    /** Notes the use of a key, at most once in LIMITS.apiKeyUseMs. */
    markUsed(id: string, at: Date): Promise<void>;
  };

  /** Answers within a second or throws `journal_unavailable`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The lane of a run: a stable hash of its id, 0 to 63. */
export const LANES = 64;
