import { type Kysely, type Migration, type RawBuilder, sql } from 'kysely';
import type { TidegateEvent } from '../../model/event.ts';

/** A partition for each day of what is in another table. */
const partitionsOfDays = (table: string, from: string): RawBuilder<unknown> => sql`
    do $$
    declare day date;
    begin
      for day in select distinct (received_at at time zone 'UTC')::date from ${sql.raw(from)} loop
        execute format(
          'create table %I partition of ${sql.raw(table)} for values from (%L) to (%L)',
          '${sql.raw(table)}_' || to_char(day, 'YYYYMMDD'),
          day::timestamp at time zone 'UTC',
          (day + 1)::timestamp at time zone 'UTC'
        );
      end loop;
    end $$`;

/** What an event is known by stays in its row; what is in it goes to a partition of its UTC day. */
const copyData: readonly RawBuilder<unknown>[] = [
  sql`
    alter table events
      add column schema_version integer,
      add column origin text,
      add column hops smallint`,
  sql`
    create table event_data (
      received_at timestamptz not null,
      event_seq bigint not null,
      envelope json not null,
      -- With both, so that a join on both looks into one partition.
      primary key (received_at, event_seq)
    ) partition by range (received_at)`,
  // What comes on a day that nobody has made a partition for.
  sql`create table event_data_default partition of event_data default`,
  partitionsOfDays('event_data', 'events where erased_at is null'),
  sql`
    insert into event_data (received_at, event_seq, envelope)
    select received_at, seq, envelope from events where erased_at is null order by seq`,
];

const dropData: readonly RawBuilder<unknown>[] = [
  sql`
    alter table events
      drop column envelope,
      alter column schema_version set not null,
      alter column origin set not null,
      alter column hops set not null`,
  // What the retention has looked at, under which rules, so that it looks at a day once for each of them.
  sql`
    create table swept_days (
      day date primary key,
      rules text not null,
      swept_at timestamptz not null,
      is_done boolean not null
    )`,
];

const EVENTS_PER_PAGE = 1_000;

/** In the process, because the database cannot read every envelope: it may be sealed, or have a \u0000. */
async function fillColumns(database: Kysely<unknown>): Promise<void> {
  for (let after = 0; ; ) {
    const { rows } = await sql<{ seq: number; envelope: TidegateEvent }>`
      select seq, envelope from events where seq > ${after}::bigint order by seq limit ${EVENTS_PER_PAGE}::int`.execute(
      database,
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.seq;
    const known = rows.map(({ seq, envelope: { schemaversion, origin, hops } }) => ({
      seq,
      schemaversion,
      origin,
      hops,
    }));
    await sql`
      update events set schema_version = known.schemaversion, origin = known.origin, hops = known.hops
      from json_to_recordset(${JSON.stringify(known)}::json) as known (
        seq bigint, schemaversion int, origin text, hops smallint
      )
      where events.seq = known.seq`.execute(database);
  }
}

/** Deliveries as they came, and which event came in which. */
const rawDeliveries: readonly RawBuilder<unknown>[] = [
  sql`alter table raw_delivery_events rename to unparted_delivery_events`,
  sql`alter table raw_deliveries rename to unparted_deliveries`,
  sql`alter index raw_delivery_events_pkey rename to unparted_delivery_events_pkey`,
  sql`alter index raw_deliveries_pkey rename to unparted_deliveries_pkey`,
  sql`
    create table raw_deliveries (
      received_at timestamptz not null,
      id uuid not null,
      source text not null,
      request json not null,
      primary key (received_at, id)
    ) partition by range (received_at)`,
  // Without a reference to the delivery, which would have to be looked for whenever a day is dropped.
  sql`
    create table raw_delivery_events (
      event_seq bigint not null,
      received_at timestamptz not null,
      delivery uuid not null,
      primary key (event_seq, received_at)
    ) partition by range (received_at)`,
  sql`create table raw_deliveries_default partition of raw_deliveries default`,
  sql`create table raw_delivery_events_default partition of raw_delivery_events default`,
  partitionsOfDays('raw_deliveries', 'unparted_deliveries'),
  partitionsOfDays('raw_delivery_events', 'unparted_deliveries'),
  sql`
    insert into raw_deliveries (received_at, id, source, request)
    select received_at, id, source, request from unparted_deliveries`,
  sql`
    insert into raw_delivery_events (event_seq, received_at, delivery)
    select links.event_seq, deliveries.received_at, links.delivery
    from unparted_delivery_events as links
    join unparted_deliveries as deliveries on deliveries.id = links.delivery`,
  sql`drop table unparted_delivery_events`,
  sql`drop table unparted_deliveries`,
];

/** Parts what is large by day, so that the retention drops a day instead of rewriting its rows. */
export const partitions: Migration = {
  async up(database: Kysely<unknown>) {
    for (const statement of copyData) await statement.execute(database);
    await fillColumns(database);
    for (const statement of [...dropData, ...rawDeliveries]) await statement.execute(database);
  },
};
