import type { ColumnType, Generated, Kysely } from 'kysely';
import type { ErrorClass, ErrorCode } from '../model/error.ts';
import type { JournalledStatus, Json, TidegateEvent } from '../model/event.ts';
import type {
  Outcome,
  Question,
  RecordStepInput,
  Resolution,
  Voice,
  WindowSummary,
} from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import type { RawDelivery } from './deliveries.ts';
import type { Closing, RunRow } from './rows.ts';

/**
 * A column of type `json`: written as text that JSON.stringify made, read parsed. Not `jsonb`, which
 * refuses `\u0000` and lone surrogates and forgets the text that came in.
 */
type JsonColumn<Value> = ColumnType<Value, string, string>;

interface EventsTable {
  seq: Generated<number>;
  tenant: string;
  source: string;
  id: string;
  type: string;
  subject: string | null;
  time: Date;
  received_at: Generated<Date>;
  status: JournalledStatus;
  reason: string | null;
  correlation_id: string;
  duplicates: Generated<number>;
  envelope_bytes: number;
  causation_id: string | null;
  schema_version: number;
  origin: string;
  hops: number;
  /** When its data was erased; null while it has it. */
  erased_at: Generated<Date | null>;
}

/** What is in events, until it is erased: a partition for each UTC day. */
interface EventDataTable {
  /** The event's own, by which the partition is found. */
  received_at: Date;
  event_seq: number;
  envelope: JsonColumn<TidegateEvent>;
}

/** What the retention has looked at. */
interface SweptDaysTable {
  day: ColumnType<string, string, string>;
  /** A hash of the rules that were so then. */
  rules: string;
  swept_at: Date;
  is_done: boolean;
}

interface DeliveriesTable {
  run: RunId;
  number: number;
  event_seq: number;
  /** When it was received, of what flows made; null of everything else. */
  made_at: Date | null;
}

interface RunsTable {
  seq: Generated<number>;
  run: RunId;
  flow: string;
  tenant: string;
  key: string;
  lane: number;
  accepted_through: number;
  sent_through: Generated<number>;
  settled_through: Generated<number>;
  status: RunRow['status'];
  held: Generated<boolean>;
  workflow_run_id: string | null;
  opened_at: Date | null;
  dispatch_error: string | null;
  /** Empty when the flow has no such limit; null when it has none at all, or the run is settled. */
  concurrency_key: string | null;
  throttle_key: string | null;
  /** When it was opened, while it waits for its slots; runs of one commit a microsecond apart. */
  waits_since: Date | null;
  /** When it was first sent something, of a run with limits. */
  begun_at: Date | null;
  /** When its fuse tripped: nothing is sent until an operator resets it. */
  fused_at: Date | null;
  /** What came before does not count towards the fuse any more. */
  fuse_reset_at: Date | null;
  /** A delivery that Temporal refused when it was sent alone, and how often; null when none was. */
  refused_number: number | null;
  refused_attempts: Generated<number>;
  /** Since when nothing is sent, because the next delivery is undeliverable and a person is waited for. */
  undeliverable_since: Date | null;
  /** The highest number that was passed over: its run never gets it. */
  passed_over_through: number | null;
  /** When the oldest unsent delivery was received. */
  pending_since: Date | null;
  updated_at: Generated<Date>;
  /** When it last changed, but for what was accepted, or was last given out as doubtful. */
  touched_at: Generated<Date>;
  /** Where its workflow is, or was last; null where nothing is routed. */
  task_queue: string | null;
  namespace: string | null;
  /** Whether it has to stay there, because something of it was sent there and is not settled. */
  placed: Generated<boolean>;
  /** Whether there is something that is to be sent now. */
  to_send: ColumnType<boolean, never, never>;
  /** Whether something that was sent has no outcome. */
  to_settle: ColumnType<boolean, never, never>;
}

/** How a dead letter was closed; all null while it is open. */
interface ClosingColumns {
  closed_at: Generated<Date | null>;
  closing: Generated<Closing | null>;
  closed_by: Generated<string | null>;
}

interface SettlementsTable extends ClosingColumns {
  seq: Generated<number>;
  run: RunId;
  from_number: number;
  through_number: number;
  outcome: Outcome;
  reason: string | null;
  window: JsonColumn<WindowSummary> | null;
  result: JsonColumn<unknown> | null;
  workflow_run_id: string;
  settled_at: Generated<Date>;
}

interface ParksTable {
  seq: Generated<number>;
  run: RunId;
  park_id: string;
  step: string;
  error_class: ErrorClass | null;
  reason: string;
  question: JsonColumn<Question> | null;
  parked_at: Generated<Date>;
  decision: JsonColumn<Resolution> | null;
  decided_at: Date | null;
  /** When its window was settled without a decision. */
  closed_at: Date | null;
}

interface VoicesTable {
  run: RunId;
  park_id: string;
  approver: string;
  action: Voice['action'];
  reason: string;
  /** In milliseconds since 1970, on the run's clock. */
  at: number;
  via: Voice['via'];
}

interface StepRecordsTable {
  run: RunId;
  /** The number of the delivery that opened the window. */
  window_number: number;
  step: string;
  seq: Generated<number>;
  kind: RecordStepInput['kind'];
  record: JsonColumn<RecordStepInput['record']>;
  updated_at: Generated<Date>;
}

interface RejectionsTable extends ClosingColumns {
  seq: Generated<number>;
  identity: string;
  tenant: string;
  source: string;
  id: string;
  type: string | null;
  code: string;
  message: string;
  errors: JsonColumn<readonly { readonly path: string; readonly message: string }[]> | null;
  body: string;
  received_at: Generated<Date>;
  count: Generated<number>;
  /** Made by code of this project: without a version it is of the current one. */
  is_ours: Generated<boolean>;
}

/** A flow that could not decide about an event. */
interface HeldDeliveriesTable extends ClosingColumns {
  seq: Generated<number>;
  event_seq: number;
  flow: string;
  tenant: string;
  code: ErrorCode;
  message: string;
  held_at: Generated<Date>;
  /** How often the flow was asked. */
  attempts: Generated<number>;
}

/** Written and read, never changed and never deleted. */
interface AuditTable {
  seq: Generated<number>;
  at: Generated<Date>;
  actor: string;
  action: string;
  target: string;
  tenant: string | null;
  reason: string | null;
  details: JsonColumn<Json> | null;
  act: string | null;
}

/** What a connector has written, until it is no longer expected to come back as a webhook. */
interface ConnectorWritesTable {
  seq: Generated<number>;
  idempotency_key: string;
  object_hash: string;
  tenant: string;
  system: string;
  object: string;
  run: RunId;
  operation: string;
  open_fields: JsonColumn<readonly string[]>;
  echoes: JsonColumn<readonly string[]>;
  written_at: Generated<Date>;
  expires_at: Date;
}

/** A fuse that has tripped, for people; `runs.fused_at` is what holds deliveries. */
interface FuseTripsTable extends ClosingColumns {
  seq: Generated<number>;
  run: RunId;
  event_id: string;
  chain: string;
  most: number;
  per_ms: number;
  count: number;
  tripped_at: Generated<Date>;
}

/** A delivery that Temporal refuses, set aside for a person. */
interface UndeliverableTable extends ClosingColumns {
  seq: Generated<number>;
  run: RunId;
  number: number;
  event_seq: number;
  reason: string;
  attempts: number;
  holds: boolean;
  passed_over: boolean;
  set_aside_at: Generated<Date>;
}

interface OutboxTable {
  seq: Generated<number>;
  idempotency_key: string;
  connector: string;
  operation: string;
  run: RunId;
  input: JsonColumn<unknown>;
  recorded_at: Generated<Date>;
}

/** A pair of limit keys that is to be looked at: a run has opened, a slot is free, time has passed. */
interface SlotChecksTable {
  flow: string;
  tenant: string;
  concurrency_key: string;
  /** Null for each one that runs wait under. */
  throttle_key: string | null;
  due_at: Date;
}

/** Begins of runs that are settled: they count until the throttle's time is over. */
interface ThrottleBeginsTable {
  seq: Generated<number>;
  flow: string;
  tenant: string;
  throttle_key: string;
  begun_at: Date;
}

interface ApiKeysTable {
  id: string;
  seq: Generated<number>;
  name: string;
  hash: string;
  /** Null for every tenant. */
  tenant: string | null;
  types: JsonColumn<readonly string[]>;
  actions: JsonColumn<readonly string[]>;
  created_at: Date;
  created_by: string;
  not_before: Date | null;
  expires_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
}

interface LanesTable {
  lane: number;
  holder: string | null;
  expires_at: Date | null;
}

interface DispatchersTable {
  holder: string;
  expires_at: Date;
  /** Whether a connection of it holds its lock: when it can be had, the dispatcher is gone. */
  is_present: Generated<boolean>;
}

/** A delivery as it came, with its body in base64. */
export interface StoredRequest extends Pick<RawDelivery, 'method' | 'url' | 'headers'> {
  readonly body: string;
}

interface RawDeliveriesTable {
  id: string;
  source: string;
  received_at: Date;
  request: JsonColumn<StoredRequest>;
}

interface RawDeliveryEventsTable {
  event_seq: number;
  /** The delivery's, by which its partition is found. */
  received_at: Date;
  delivery: string;
}

export interface JournalTables {
  events: EventsTable;
  event_data: EventDataTable;
  swept_days: SweptDaysTable;
  deliveries: DeliveriesTable;
  runs: RunsTable;
  settlements: SettlementsTable;
  parks: ParksTable;
  voices: VoicesTable;
  step_records: StepRecordsTable;
  rejections: RejectionsTable;
  outbox: OutboxTable;
  connector_writes: ConnectorWritesTable;
  fuse_trips: FuseTripsTable;
  undeliverable: UndeliverableTable;
  slot_checks: SlotChecksTable;
  throttle_begins: ThrottleBeginsTable;
  lanes: LanesTable;
  api_keys: ApiKeysTable;
  dispatchers: DispatchersTable;
  held_deliveries: HeldDeliveriesTable;
  raw_deliveries: RawDeliveriesTable;
  raw_delivery_events: RawDeliveryEventsTable;
  audit: AuditTable;
}

export type JournalDatabase = Kysely<JournalTables>;
