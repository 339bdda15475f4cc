import type { ColumnType, Generated, Kysely } from 'kysely';
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
import type { RunRow } from './journal.ts';

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
  envelope: JsonColumn<TidegateEvent>;
  envelope_bytes: number;
}

interface DeliveriesTable {
  run: RunId;
  number: number;
  event_seq: number;
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
  /** When the oldest unsent delivery was received. */
  pending_since: Date | null;
  updated_at: Generated<Date>;
  /** When it last changed or was last given out as doubtful. */
  touched_at: Generated<Date>;
}

interface SettlementsTable {
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

interface RejectionsTable {
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
  seq: Generated<number>;
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

interface LanesTable {
  lane: number;
  holder: string | null;
  expires_at: Date | null;
}

export interface JournalTables {
  events: EventsTable;
  deliveries: DeliveriesTable;
  runs: RunsTable;
  settlements: SettlementsTable;
  parks: ParksTable;
  voices: VoicesTable;
  step_records: StepRecordsTable;
  rejections: RejectionsTable;
  outbox: OutboxTable;
  slot_checks: SlotChecksTable;
  throttle_begins: ThrottleBeginsTable;
  lanes: LanesTable;
}

export type JournalDatabase = Kysely<JournalTables>;
