import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  sql`
    alter table runs
      add column refused_number bigint,
      add column refused_attempts integer not null default 0,
      add column undeliverable_since timestamptz,
      add column passed_over_through bigint`,
  sql`
    create table undeliverable (
      seq bigint generated always as identity primary key,
      run text collate "C" not null,
      number bigint not null,
      event_seq bigint not null,
      reason text not null,
      attempts integer not null,
      -- Whether the run waits for a person; else it goes on without.
      holds boolean not null,
      -- Whether the run never gets this number.
      passed_over boolean not null,
      set_aside_at timestamptz not null default now(),
      closed_at timestamptz,
      closing text,
      closed_by text
    )`,
  sql`create index undeliverable_by_run on undeliverable (run, number)`,
  sql`create index undeliverable_open on undeliverable (set_aside_at, seq) where closed_at is null`,
  sql`drop index runs_to_send`,
  sql`
    create index runs_to_send on runs (pending_since, lane)
      where sent_through < accepted_through and waits_since is null and fused_at is null
        and undeliverable_since is null and not held`,
  sql`drop index runs_to_send_by_tenant`,
  sql`
    create index runs_to_send_by_tenant on runs (tenant, pending_since)
      where sent_through < accepted_through and waits_since is null and fused_at is null
        and undeliverable_since is null and not held`,
];

/** Deliveries that Temporal refuses, set aside for a person. */
export const undeliverable: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
