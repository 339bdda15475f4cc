import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  // Room on a page for the next version of its rows.
  sql`alter table runs set (fillfactor = 80)`,
  sql`
    alter table runs
      add column to_send boolean not null generated always as (
        sent_through < accepted_through and waits_since is null and fused_at is null
          and undeliverable_since is null and not held
      ) stored,
      add column to_settle boolean not null generated always as (
        settled_through < sent_through
      ) stored`,
  sql`drop index runs_to_send`,
  sql`create index runs_to_send on runs (pending_since) where to_send`,
  sql`drop index runs_to_send_by_tenant`,
  sql`create index runs_to_send_by_tenant on runs (tenant, pending_since) where to_send`,
  sql`drop index runs_to_settle`,
  sql`create index runs_to_settle on runs (touched_at, lane) where to_settle`,
];

/**
 * What a run has to do, as columns, so that no index names the count of what was accepted: PostgreSQL then writes a
 * further event of a run that has something to send without a word to any index.
 * https://www.postgresql.org/docs/current/storage-hot.html
 */
export const runStates: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
