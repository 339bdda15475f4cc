import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

/**
 * Identifiers are collated "C": a fixed lock order in every database, and no index to rebuild when
 * the system's collations change.
 */
const statements: readonly RawBuilder<unknown>[] = [
  sql`
    create table events (
      seq bigint generated always as identity primary key,
      tenant text collate "C" not null,
      source text collate "C" not null,
      id text collate "C" not null,
      type text collate "C" not null,
      subject text,
      time timestamptz not null,
      received_at timestamptz not null default now(),
      status text not null,
      reason text,
      correlation_id text collate "C" not null,
      duplicates integer not null default 0,
      envelope json not null,
      envelope_bytes integer not null,
      -- The id leads, so that one index serves identity and the look-up by id alone.
      constraint events_identity unique (id, source, tenant)
    )`,
  sql`create index events_by_correlation on events (correlation_id, seq)`,
  sql`create index events_by_type on events (type, seq)`,
  sql`
    create table deliveries (
      run text collate "C" not null,
      number bigint not null,
      event_seq bigint not null,
      primary key (run, number)
    )`,
  sql`create index deliveries_by_event on deliveries (event_seq)`,
  sql`
    create table runs (
      run text collate "C" primary key,
      seq bigint generated always as identity unique,
      flow text collate "C" not null,
      tenant text collate "C" not null,
      key text collate "C" not null,
      lane smallint not null,
      accepted_through bigint not null,
      sent_through bigint not null default 0,
      settled_through bigint not null default 0,
      status text not null,
      held boolean not null default false,
      workflow_run_id text,
      opened_at timestamptz,
      dispatch_error text,
      concurrency_key text collate "C",
      throttle_key text collate "C",
      waits_since timestamptz,
      begun_at timestamptz,
      pending_since timestamptz,
      updated_at timestamptz not null default now(),
      touched_at timestamptz not null default now(),
      constraint runs_watermarks check (
        settled_through <= sent_through and sent_through <= accepted_through
      )
    )`,
  sql`
    create index runs_to_send on runs (pending_since, lane)
      where sent_through < accepted_through and waits_since is null`,
  sql`
    create index runs_waiting on runs (flow, tenant, concurrency_key, throttle_key, waits_since, run)
      where waits_since is not null`,
  sql`
    create index runs_in_slots on runs (flow, tenant, concurrency_key)
      where waits_since is null and concurrency_key is not null`,
  sql`
    create index runs_throttled on runs (flow, tenant, throttle_key, begun_at)
      where waits_since is null and throttle_key is not null`,
  sql`create index runs_to_settle on runs (touched_at, lane) where settled_through < sent_through`,
  sql`create index runs_open on runs (seq) where status <> 'settled'`,
  sql`
    create table settlements (
      run text collate "C" not null,
      from_number bigint not null,
      through_number bigint not null,
      seq bigint generated always as identity,
      outcome text not null,
      reason text,
      "window" json,
      result json,
      workflow_run_id text not null,
      settled_at timestamptz not null default now(),
      primary key (run, from_number)
    )`,
  sql`create index settlements_lost on settlements (settled_at, seq) where outcome = 'lost'`,
  sql`
    create table parks (
      run text collate "C" not null,
      park_id text collate "C" not null,
      seq bigint generated always as identity,
      step text not null,
      error_class text,
      reason text not null,
      question json,
      parked_at timestamptz not null default now(),
      decision json,
      decided_at timestamptz,
      closed_at timestamptz,
      primary key (run, park_id)
    )`,
  sql`
    create index parks_open on parks (parked_at, seq)
      where decided_at is null and closed_at is null`,
  sql`
    create table voices (
      run text collate "C" not null,
      park_id text collate "C" not null,
      approver text collate "C" not null,
      action text not null,
      reason text not null,
      at bigint not null,
      via text not null,
      primary key (run, park_id, approver)
    )`,
  sql`
    create table step_records (
      run text collate "C" not null,
      window_number bigint not null,
      step text collate "C" not null,
      seq bigint generated always as identity,
      kind text not null,
      record json not null,
      updated_at timestamptz not null default now(),
      primary key (run, window_number, step)
    )`,
  sql`
    create table rejections (
      seq bigint generated always as identity primary key,
      -- A hash of tenant, source and id: any of them may be the reason for the refusal.
      identity text collate "C" not null unique,
      tenant text not null,
      source text not null,
      id text not null,
      type text,
      code text not null,
      message text not null,
      errors json,
      body text not null,
      received_at timestamptz not null default now(),
      count integer not null default 1
    )`,
  sql`create index rejections_by_time on rejections (received_at, seq)`,
  sql`
    create table outbox (
      seq bigint generated always as identity primary key,
      idempotency_key text collate "C" not null unique,
      connector text not null,
      operation text not null,
      run text collate "C" not null,
      input json not null,
      recorded_at timestamptz not null default now()
    )`,
  sql`create index outbox_by_run on outbox (run, seq)`,
  sql`
    create table slot_checks (
      seq bigint generated always as identity primary key,
      flow text collate "C" not null,
      tenant text collate "C" not null,
      concurrency_key text collate "C" not null,
      throttle_key text collate "C",
      due_at timestamptz not null
    )`,
  sql`create index slot_checks_due on slot_checks (due_at)`,
  sql`
    create index slot_checks_by_keys
      on slot_checks (flow, tenant, concurrency_key, throttle_key, due_at)`,
  sql`
    create table throttle_begins (
      seq bigint generated always as identity primary key,
      flow text collate "C" not null,
      tenant text collate "C" not null,
      throttle_key text collate "C" not null,
      begun_at timestamptz not null
    )`,
  sql`create index throttle_begins_by_key on throttle_begins (flow, tenant, throttle_key, begun_at)`,
  sql`create index throttle_begins_by_time on throttle_begins (flow, begun_at)`,
  sql`
    create table lanes (
      lane smallint primary key,
      holder text,
      expires_at timestamptz
    )`,
  sql`insert into lanes (lane) select generate_series(0, 63)`,
];

export const initial: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
