import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  sql`alter table events add column erased_at timestamptz`,
  sql`create index events_with_data on events (seq) where erased_at is null`,
  sql`create index events_erased on events (received_at, seq) where erased_at is not null`,
];

/** When events have lost their data. */
export const dataCare: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
