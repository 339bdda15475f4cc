import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  // What no statement looks for.
  sql`drop index events_with_data`,
  sql`drop index rejections_by_time`,
  sql`alter table slot_checks drop column seq`,
  // What the operator API lists.
  sql`create index events_by_tenant on events (tenant, seq)`,
  sql`create index events_by_source on events (source, seq)`,
  // Nearly all are accepted: the list of these is that of all.
  sql`create index events_by_status on events (status, seq) where status <> 'accepted'`,
  sql`create index runs_by_flow on runs (flow, seq)`,
  sql`create index runs_by_tenant on runs (tenant, seq)`,
  // Dead letters by their names.
  sql`create index settlements_lost on settlements (seq) where outcome = 'lost'`,
  sql`create index parks_by_seq on parks (seq)`,
];

/** Holds indexes to the rule that each serves a statement, and each question has one. */
export const indexes: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
