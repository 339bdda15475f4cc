/** A journal with a past: events that were received, delivered and settled over many days. */
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import { makePartitions } from '../src/journal/partitions.ts';
import type { JournalTables } from '../src/journal/schema.ts';
import { DAY_MS } from '../src/model/retention.ts';

/** The days before today that the events are spread over. */
const DAYS = 30;
/** Each run has this many events, in two windows. */
const EVENTS_PER_RUN = 4;
const EVENTS_PER_STATEMENT = 50_000;

/**
 * Fills a migrated journal with settled events of a flow named `filled` in the tenant `filled`, by one
 * statement per table and 50,000 events. It may be called again: the next events follow the last ones.
 *
 * @param events rounded up to whole runs of four events
 */
export async function fillJournal(pool: pg.Pool, events: number): Promise<void> {
  await makePartitionsOfPast(pool);
  const count = Math.ceil(events / EVENTS_PER_RUN) * EVENTS_PER_RUN;
  const { rows } = await pool.query<{ base: string }>(
    'select coalesce(max(seq), 0)::text as base from events',
  );
  // Whole runs: the number of an event says which run it is in.
  const base = Math.ceil(Number(rows[0]?.base ?? 0) / EVENTS_PER_RUN) * EVENTS_PER_RUN;
  const chunks = Array.from({ length: Math.ceil(count / EVENTS_PER_STATEMENT) }, (_, index) => ({
    from: base + index * EVENTS_PER_STATEMENT,
    through: base + Math.min((index + 1) * EVENTS_PER_STATEMENT, count) - 1,
  }));
  // Tables are filled side by side: each row follows from its number.
  await Promise.all(
    Object.values(INSERTS).map((insert) => fillTable(pool, insert, chunks, { base, count })),
  );
  await pool.query(`select setval(pg_get_serial_sequence('events', 'seq'), $1)`, [base + count]);
  // As the server does by itself in time; else its plans are those of an empty journal.
  await pool.query('vacuum (analyze)');
}

async function makePartitionsOfPast(pool: pg.Pool): Promise<void> {
  // Not destroyed: its pool is the caller's.
  const database = new Kysely<JournalTables>({ dialect: new PostgresDialect({ pool }) });
  for (let day = DAYS; day >= 0; day -= 1) {
    await makePartitions(database, new Date(Date.now() - day * DAY_MS));
  }
}

async function fillTable(
  pool: pg.Pool,
  insert: string,
  chunks: readonly { readonly from: number; readonly through: number }[],
  { base, count }: { readonly base: number; readonly count: number },
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('set synchronous_commit = off; set statement_timeout = 0');
    for (const { from, through } of chunks) {
      await client.query(filled(insert), [from, through, base, count]);
    }
  } finally {
    // With its settings.
    client.release(true);
  }
}

/** Events of these numbers, evenly over the days until this one. */
const filled = (insert: string): string => `
  with filled as (
    select n, n + 1 as seq, 'filled-' || lpad(n::text, 12, '0') as id,
      'filled:filled:key-' || n / ${EVENTS_PER_RUN} as run, n % ${EVENTS_PER_RUN} + 1 as number,
      date_trunc('day', now(), 'UTC') - interval '${DAYS} days'
        + (n - $3::bigint)::float8 / $4::bigint * interval '${DAYS} days' as at
    from generate_series($1::bigint, $2::bigint) as n
  )
  ${insert}`;

const ENVELOPE = `'{"specversion":"1.0","id":"' || id || '","source":"shop","type":"order.placed","time":"'
  || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  || '","subject":"order-' || n || '","data":{"order":' || n || ',"currency":"EUR","total":' || n % 50000
  || ',"customer":{"name":"Ana Example","email":"customer-' || n || '@example.com"},"lines":[{"sku":"sku-'
  || n % 977 || '","quantity":2},{"sku":"sku-' || n % 983
  || '","quantity":1}]},"tenantid":"filled","schemaversion":1,"correlationid":"' || id
  || '","origin":"system","hops":0}'`;

const INSERTS = {
  events: `
    insert into events (
      seq, tenant, source, id, type, subject, time, received_at, status, correlation_id,
      schema_version, origin, hops, envelope_bytes
    )
    overriding system value
    select seq, 'filled', 'shop', id, 'order.placed', 'order-' || n, at, at, 'accepted', id,
      1, 'system', 0, octet_length(${ENVELOPE})
    from filled order by n`,
  eventData: `
    insert into event_data (received_at, event_seq, envelope)
    select at, seq, (${ENVELOPE})::json from filled order by n`,
  deliveries: `
    insert into deliveries (run, number, event_seq)
    select run, number, seq from filled order by n`,
  runs: `
    insert into runs (
      run, flow, tenant, key, lane, accepted_through, sent_through, settled_through, status,
      workflow_run_id, opened_at, updated_at, touched_at
    )
    select run, 'filled', 'filled', 'key-' || n / ${EVENTS_PER_RUN}, n / ${EVENTS_PER_RUN} % 64,
      ${EVENTS_PER_RUN}, ${EVENTS_PER_RUN}, ${EVENTS_PER_RUN}, 'settled',
      md5(run)::uuid::text, at, at, at
    from filled where number = ${EVENTS_PER_RUN} order by n`,
  settlements: `
    insert into settlements (
      run, from_number, through_number, outcome, "window", result, workflow_run_id, settled_at
    )
    select run, number - 1, number, 'completed',
      ('{"count":2,"closedBy":"quiet","firstAt":' || extract(epoch from at)::bigint * 1000
        || ',"lastAt":' || extract(epoch from at)::bigint * 1000 || '}')::json,
      ('{"order":' || n || ',"mailed":true}')::json, md5(run)::uuid::text, at
    from filled where number % 2 = 0 order by n`,
} as const;
