/**
 * Events with what is in them. What an event is known by is its row; what is in it is in the partition
 * of its day. A statement that names the span of time is planned for the partitions of that span only,
 * so that its cost does not grow with the days that are kept.
 */
import { type Selectable, sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { DAY_MS } from '../model/retention.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';

const HOUR_MS = 3_600_000;

/** What an event is known by, as long as it is remembered. */
export const KNOWN_COLUMNS = [
  'seq',
  'tenant',
  'source',
  'id',
  'type',
  'time',
  'received_at',
  'correlation_id',
  'causation_id',
  'schema_version',
  'origin',
  'hops',
  'erased_at',
] as const;

export type KnownRow = Pick<Selectable<JournalTables['events']>, (typeof KNOWN_COLUMNS)[number]>;

/** Events by their number in the journal; of erased ones what they are known by. */
export async function eventsBySeq(
  database: JournalDatabase,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, TidegateEvent>> {
  if (seqs.length === 0) return new Map();
  const rows = await database
    .selectFrom('events')
    .select(KNOWN_COLUMNS)
    .where('seq', 'in', [...new Set(seqs)])
    .execute();
  return withData(database, rows);
}

/** The same for rows that were read. */
export async function withData(
  database: JournalDatabase,
  rows: readonly KnownRow[],
): Promise<ReadonlyMap<number, TidegateEvent>> {
  const kept = rows.filter((row) => row.erased_at === null);
  const data = await envelopes(database, kept);
  return new Map(rows.map((row) => [row.seq, data.get(row.seq) ?? skeletonOf(row)]));
}

async function envelopes(
  database: JournalDatabase,
  rows: readonly KnownRow[],
): Promise<ReadonlyMap<number, TidegateEvent>> {
  if (rows.length === 0) return new Map();
  const times = rows.map((row) => row.received_at.getTime());
  const found = await database
    .selectFrom('events')
    .innerJoin('event_data', (join) =>
      join
        .onRef('event_data.event_seq', '=', 'events.seq')
        .onRef('event_data.received_at', '=', 'events.received_at'),
    )
    .select(['events.seq', 'event_data.envelope'])
    .where(
      'events.seq',
      'in',
      rows.map(({ seq }) => seq),
    )
    .where('event_data.received_at', '>=', new Date(Math.min(...times)))
    // The database's times have microseconds, which are cut off here.
    .where('event_data.received_at', '<', new Date(Math.max(...times) + 1))
    .execute();
  return new Map(found.map(({ seq, envelope }) => [seq, envelope]));
}

/** What an event is known by: not who did it, to whom, and what. */
const skeletonOf = (row: KnownRow): TidegateEvent => ({
  specversion: '1.0',
  id: row.id,
  source: row.source,
  type: row.type,
  time: row.time.toISOString(),
  data: null,
  tenantid: row.tenant,
  schemaversion: row.schema_version,
  correlationid: row.correlation_id,
  ...(row.causation_id === null ? {} : { causationid: row.causation_id }),
  origin: row.origin,
  hops: row.hops,
});

/**
 * As a condition on `event_data` in an outer join: what came within 23 hours by this process's clock, which may be
 * an hour behind. So whoever reads what is new looks into two days at most, at any time of day, and by
 * {@link eventsBySeq} for what it did not find.
 */
export const isRecent = (nowMs = Date.now()) =>
  sql`event_data.received_at >= ${new Date(nowMs - DAY_MS + HOUR_MS)}::timestamptz
    and event_data.received_at < ${new Date(nowMs + HOUR_MS)}::timestamptz`;
