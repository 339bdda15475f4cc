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
import type { Delivery, TidegateEvent } from '../model/event.ts';
import type { FlowLimits, Fuse } from '../model/flow-registry.ts';
import type { JournalActivities, Question } from '../model/protocol.ts';
import type { Retention } from '../model/retention.ts';
import type { RunId } from '../model/run.ts';
import type { Audit } from './audit-log.ts';
import type { DataOwner, EventName, KeptData } from './data-of-events.ts';
import type { Act, DeadLetter, DeadLetterCounts, Redelivery } from './dead-letters.ts';
import type {
  AppendEntry,
  AppendResult,
  PendingRun,
  RawDelivery,
  Rejection,
  RunPlace,
  SentMark,
} from './deliveries.ts';
import type {
  ApiKeyRow,
  EventRow,
  NewApiKey,
  OutboxEntry,
  Page,
  Paged,
  ParkRow,
  RunRow,
  StepRecordRow,
  StoredApiKey,
} from './rows.ts';
import type { Undeliverable } from './undeliverable.ts';

/** Deliveries as they came, kept for a time to be verified again. */
export interface RawDeliveries {
  /** What an event came in first; undefined when it is not kept. */
  find(event: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>): Promise<RawDelivery | undefined>;
  /** Deletes what came before this time; how many, of whole days as the database estimates it. */
  deleteBefore(before: Date): Promise<number>;
}

/** The lanes that one holder has. */
export interface LaneLease {
  readonly lanes: readonly number[];
  /** How many it is to have. Those above it are for others: it releases them when nothing is in flight. */
  readonly share: number;
}

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

/** The runs that were let begin, and when to look next. */
export interface Admissions {
  readonly admitted: readonly PendingRun[];
  /** When time lets the next one begin, from now; absent when no run waits. */
  readonly nextInMs?: number;
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
  markSent(holder: string, marks: readonly SentMark[]): Promise<void>;
  /**
   * Notes why a run's deliveries could not be sent, or that its code fails; cleared by the next markSent, by
   * markRecovered, or when the run is settled.
   */
  markDispatchFailed(run: RunId, error: string): Promise<void>;
  /** Clears what markDispatchFailed noted, unless something is left to send: of a run whose code fails no more. */
  markRecovered(run: RunId): Promise<void>;
  /** Counts one more refusal of a delivery that was sent alone; how many there were. */
  countRefusal(refusal: Pick<Undeliverable, 'run' | 'number' | 'reason'>): Promise<number>;
  /**
   * Sets a delivery aside as a dead letter, all before which was sent; with `holds` its run waits for a person,
   * else it goes on without. False when the holder has lost the lane, or the delivery was sent after all.
   */
  setAside(holder: string, undeliverable: Undeliverable): Promise<boolean>;
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
  /** Settles a run's deliveries through a number as `lost`, for dead letters; false when they were settled already. */
  settleLost(run: RunId, through: number, reason: string): Promise<boolean>;

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
  /** Makes room for what comes in the next days; any number of processes may. */
  prepareDays(now: Date): Promise<void>;
  /** Erases event data whose time is over; what is open stays. One process at a time. */
  eraseDue(retention: Retention, now: Date): Promise<Erased>;
  /** The data of events of one owner, in the order in which they are named. */
  dataOfEvents(owner: DataOwner, names: readonly EventName[]): Promise<readonly KeptData[]>;
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
