/** What the journal shows of itself, row by row. */
import type { ErrorClass } from '../model/error.ts';
import type { JournalledStatus, TidegateEvent } from '../model/event.ts';
import type {
  Outcome,
  Question,
  RecordStepInput,
  Resolution,
  Voice,
  WindowSummary,
} from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import type { HeldDelivery, LimitKeys, NumberedDelivery, PendingRun } from './deliveries.ts';

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
  /** Since when nothing of it is sent, because its next delivery is undeliverable: see its dead letter. */
  readonly undeliverableSince?: string;
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

/** What became of a dead letter. */
export type Closing =
  /** A person says that nothing is to be done. */
  | 'discarded'
  /** Held: the flow takes the event now. */
  | 'delivered'
  /** Held: the flow does not want it. */
  | 'filtered'
  /** Rejected, lost or undeliverable: it went in again. */
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

/** What a connector's fake would have sent to the outside system. */
export interface OutboxEntry {
  readonly idempotencyKey: string;
  readonly connector: string;
  readonly operation: string;
  readonly run: RunId;
  readonly input: unknown;
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
