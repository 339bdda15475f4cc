/** Webhook deliveries as they came, for a time, so that they can be verified again. */
import { randomUUID } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { AppendEntry, RawDelivery } from './deliveries.ts';
import type { RawDeliveries } from './journal.ts';
import { dayPartitions, dropPartition, rowsEstimated } from './partitions.ts';
import type { JournalDatabase, StoredRequest } from './schema.ts';
import { whenSent } from './sealing.ts';

export const rawDeliveriesOf = (database: JournalDatabase): RawDeliveries => ({
  find: (event) => find(database, event),
  deleteBefore: (before) => deleteBefore(database, before),
});

/** The bytes that entries bring beside their events; several events of one delivery share it. */
export function rawBytes(entries: readonly AppendEntry[]): number {
  const raws = new Set(entries.flatMap(({ raw }) => (raw === undefined ? [] : [raw])));
  return [...raws].reduce((sum, { body }) => sum + body.length, 0);
}

/**
 * What an append adds to its statement when deliveries are kept: the delivery is in the journal with its
 * events or neither is, in the same round trip. Of an event that was there before nothing is kept: its
 * first delivery is what it was made of.
 */
export function keeping(
  entries: readonly { readonly ord: number; readonly entry: AppendEntry }[],
): RawBuilder<unknown> {
  const byRaw = new Map<RawDelivery, { id: string; ords: number[]; tenants: Set<string> }>();
  for (const { ord, entry } of entries) {
    if (entry.raw === undefined) continue;
    const known = byRaw.get(entry.raw) ?? { id: randomUUID(), ords: [], tenants: new Set() };
    known.ords.push(ord);
    known.tenants.add(entry.event.tenantid);
    byRaw.set(entry.raw, known);
  }
  if (byRaw.size === 0) return sql``;
  const rows = whenSent((seal) =>
    JSON.stringify(
      [...byRaw].map(([raw, { id, tenants }]) => ({
        id,
        source: raw.source,
        received_at: raw.receivedAt,
        request: seal(JSON.stringify(stored(raw)), {
          // What has events of several tenants is no tenant's.
          tenant: tenants.size === 1 ? ([...tenants][0] ?? '') : '',
          column: 'request',
        }),
      })),
    ),
  );
  const links = [...byRaw].flatMap(([{ receivedAt }, { id, ords }]) =>
    ords.map((ord) => ({ id, ord, received_at: receivedAt })),
  );
  return sql`, raw_link as (
      select link.id, link.received_at, event.seq
      from json_to_recordset(${JSON.stringify(links)}::json) as link (
        id uuid, ord int, received_at timestamptz
      )
      join event using (ord)
      where event.fresh
    ), raw_kept as (
      insert into raw_deliveries (id, source, received_at, request)
      select id, source, received_at, request::json
      from json_to_recordset(${rows}::json) as raw (
        id uuid, source text, received_at timestamptz, request text
      )
      where id in (select id from raw_link)
    ), raw_linked as (
      insert into raw_delivery_events (event_seq, received_at, delivery)
      select seq, received_at, id from raw_link
    )`;
}

/** What deletes the deliveries of events, also where other events came with them. */
export const deleteOfEvents = (seqs: readonly number[]): RawBuilder<unknown> => sql`
  delete from raw_deliveries
  where (received_at, id) in (
    select received_at, delivery from raw_delivery_events
    where event_seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)
  )`;

const stored = ({ method, url, headers, body }: RawDelivery): StoredRequest => ({
  method,
  ...(url === undefined ? {} : { url }),
  headers,
  body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
});

async function find(
  database: JournalDatabase,
  { tenantid, source, id }: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>,
): Promise<RawDelivery | undefined> {
  const row = await database
    .selectFrom('events')
    .innerJoin('raw_delivery_events', 'raw_delivery_events.event_seq', 'events.seq')
    .innerJoin('raw_deliveries', (join) =>
      join
        .onRef('raw_deliveries.received_at', '=', 'raw_delivery_events.received_at')
        .onRef('raw_deliveries.id', '=', 'raw_delivery_events.delivery'),
    )
    .select(['raw_deliveries.source', 'raw_deliveries.received_at', 'raw_deliveries.request'])
    .where('events.id', '=', id)
    .where('events.source', '=', source)
    .where('events.tenant', '=', tenantid)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { body, ...request } = row.request;
  return {
    source: row.source,
    receivedAt: row.received_at,
    ...request,
    body: new Uint8Array(Buffer.from(body, 'base64')),
  };
}

/** Whole days at once; the rest in bounded statements, each its own transaction, which pass each other. */
async function deleteBefore(database: JournalDatabase, before: Date): Promise<number> {
  const days = await dropDaysBefore(database, 'raw_deliveries', before);
  const rows = await deleteRowsBefore(database, 'raw_deliveries', before);
  await dropDaysBefore(database, 'raw_delivery_events', before);
  await deleteRowsBefore(database, 'raw_delivery_events', before);
  return days + rows;
}

/** How many rows went, as the database estimates it. */
async function dropDaysBefore(
  database: JournalDatabase,
  table: 'raw_deliveries' | 'raw_delivery_events',
  before: Date,
): Promise<number> {
  let dropped = 0;
  for (const partition of await dayPartitions(database, table)) {
    if (partition.to > before) break;
    const rows = await rowsEstimated(database, partition);
    if (await dropPartition(database, partition)) dropped += rows;
  }
  return dropped;
}

async function deleteRowsBefore(
  database: JournalDatabase,
  table: 'raw_deliveries' | 'raw_delivery_events',
  before: Date,
): Promise<number> {
  const rowsMax = LIMITS.erasedPerTransactionMax;
  let done = 0;
  for (;;) {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} as row
      using (
        select tableoid, ctid from ${sql.table(table)}
        where received_at < ${before}::timestamptz
        limit ${rowsMax}::int
        for update skip locked
      ) as over
      where row.received_at < ${before}::timestamptz
        and row.tableoid = over.tableoid and row.ctid = over.ctid`.execute(database);
    const deleted = Number(numAffectedRows ?? 0);
    done += deleted;
    if (deleted < rowsMax) return done;
  }
}
