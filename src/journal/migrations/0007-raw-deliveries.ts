import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';

const statements: readonly RawBuilder<unknown>[] = [
  sql`
    create table raw_deliveries (
      id uuid primary key,
      source text not null,
      received_at timestamptz not null,
      request json not null
    )`,
  sql`create index raw_deliveries_received on raw_deliveries (received_at)`,
  // The first delivery of an event: one that comes again is a duplicate and is not kept.
  sql`
    create table raw_delivery_events (
      event_seq bigint primary key,
      delivery uuid not null references raw_deliveries (id) on delete cascade
    )`,
  sql`create index raw_delivery_events_delivery on raw_delivery_events (delivery)`,
];

/** What came, byte for byte, so that its signature can be verified again. */
export const rawDeliveries: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of statements) await statement.execute(database);
  },
};
