import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  sql`
    create table held_deliveries (
      seq bigint generated always as identity primary key,
      event_seq bigint not null,
      flow text collate "C" not null,
      tenant text collate "C" not null,
      code text not null,
      message text not null,
      held_at timestamptz not null default now(),
      attempts integer not null default 1,
      closed_at timestamptz,
      closing text,
      closed_by text,
      constraint held_deliveries_identity unique (event_seq, flow)
    )`,
  sql`create index held_deliveries_open on held_deliveries (held_at, seq) where closed_at is null`,
  sql`
    alter table rejections
      add column is_ours boolean not null default false,
      add column closed_at timestamptz,
      add column closing text,
      add column closed_by text`,
  sql`create index rejections_open on rejections (received_at, seq) where closed_at is null`,
  // By hash, because a refused id can be longer than a row of any other index.
  sql`create index rejections_open_by_id on rejections using hash (id) where closed_at is null`,
  sql`
    alter table settlements
      add column closed_at timestamptz,
      add column closing text,
      add column closed_by text`,
  sql`
    create index settlements_lost_open on settlements (settled_at, seq)
      where outcome = 'lost' and closed_at is null`,
  sql`drop index settlements_lost`,
  sql`
    alter table runs
      add column task_queue text collate "C",
      add column namespace text collate "C",
      add column placed boolean not null default false`,
  sql`create index runs_placed on runs (run) where placed`,
  sql`
    create table audit (
      seq bigint generated always as identity primary key,
      at timestamptz not null default now(),
      actor text not null,
      action text not null,
      target text not null,
      tenant text,
      reason text,
      details json,
      -- What makes it the same act, for acts that are written after they were done; else null.
      act text collate "C" unique
    )`,
  sql`create index audit_by_time on audit (at, seq)`,
];

/** What flows could not decide, what has become of dead letters, who did it, and where runs are. */
export const heldDeliveries: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
