import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  // Inside the envelope, the database could not read it from every event: it refuses \u0000 there.
  sql`alter table events add column causation_id text collate "C"`,
  sql`
    create table connector_writes (
      seq bigint generated always as identity primary key,
      idempotency_key text collate "C" not null unique,
      object_hash text collate "C" not null,
      tenant text collate "C" not null,
      system text not null,
      object text not null,
      run text collate "C" not null,
      operation text not null,
      -- Hashes of the fields that have not come back, and of the events that were its echoes.
      open_fields json not null,
      echoes json not null default '[]',
      written_at timestamptz not null default now(),
      expires_at timestamptz not null
    )`,
  sql`create index connector_writes_by_object on connector_writes (object_hash, seq)`,
  sql`create index connector_writes_by_expiry on connector_writes (expires_at)`,
  // When it was received, of what flows made; null of everything else.
  sql`alter table deliveries add column made_at timestamptz`,
  sql`create index deliveries_made on deliveries (run, made_at) where made_at is not null`,
  sql`alter table runs add column fused_at timestamptz, add column fuse_reset_at timestamptz`,
  sql`
    create table fuse_trips (
      seq bigint generated always as identity primary key,
      run text collate "C" not null,
      event_id text not null,
      chain text not null,
      most integer not null,
      per_ms bigint not null,
      count integer not null,
      tripped_at timestamptz not null default now(),
      closed_at timestamptz,
      closing text,
      closed_by text
    )`,
  sql`create index fuse_trips_by_run on fuse_trips (run, seq)`,
  sql`create index fuse_trips_open on fuse_trips (tripped_at, seq) where closed_at is null`,
  sql`drop index runs_to_send`,
  sql`
    create index runs_to_send on runs (pending_since, lane)
      where sent_through < accepted_through and waits_since is null and fused_at is null`,
];

export const loopGuard: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
