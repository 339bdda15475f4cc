/**
 * Tables parted by the UTC day in which their rows were received, so that a day whose time is over is
 * dropped as a file. A partition is made before its day; what comes without one goes to the default
 * partition, which is empty as long as any ingress lives.
 */
import { type RawBuilder, sql } from 'kysely';
import { TidegateError } from '../model/error.ts';
import { DAY_MS } from '../model/retention.ts';
import { startOfDay } from './retention-days.ts';
import type { JournalDatabase } from './schema.ts';

export type PartedTable = 'event_data' | 'raw_deliveries' | 'raw_delivery_events';
const PARTED_TABLES: readonly PartedTable[] = [
  'event_data',
  'raw_deliveries',
  'raw_delivery_events',
];

/** The partition of one day. */
export interface DayPartition {
  readonly table: PartedTable;
  readonly name: string;
  readonly from: Date;
  /** Its end: the begin of the next day. */
  readonly to: Date;
}

/** Days for which partitions are made ahead: so long may no ingress run. */
const DAYS_AHEAD = 3;
/** How long a lock on a whole table is waited for: what appends behind it waits as long. */
const LOCK_MS_MAX = 300;

/**
 * Makes the partitions of this and the next days, by any number of processes at once. One whose lock was
 * not got in time is left to the next call: until then the default partition has its rows.
 */
export async function makePartitions(database: JournalDatabase, now: Date): Promise<void> {
  const today = startOfDay(now).getTime();
  const days = Array.from({ length: 1 + DAYS_AHEAD }, (_, ahead) => today + ahead * DAY_MS);
  for (const table of PARTED_TABLES) {
    const known = new Set((await dayPartitions(database, table)).map(({ name }) => name));
    const missing = days
      .map((day) => partitionOf(table, day))
      .filter(({ name }) => !known.has(name));
    for (const partition of missing) await makePartition(database, partition);
  }
}

const partitionOf = (table: PartedTable, dayMs: number): DayPartition => {
  const from = new Date(dayMs);
  const day = from.toISOString().slice(0, 10).replaceAll('-', '');
  return { table, name: `${table}_${day}`, from, to: new Date(dayMs + DAY_MS) };
};

/** The partitions of days, the oldest first. */
export async function dayPartitions(
  database: JournalDatabase,
  table: PartedTable,
): Promise<readonly DayPartition[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = ${table}::regclass
    order by relname`.execute(database);
  return rows.flatMap(({ name }) => {
    const [, year, month, day] = /_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
    if (day === undefined) return [];
    return [partitionOf(table, Date.UTC(Number(year), Number(month) - 1, Number(day)))];
  });
}

/**
 * `create table ... partition of` would lock out appends; a table that is attached does not. What is in
 * the default partition of this day is moved: else the two would overlap.
 */
const makePartition = (database: JournalDatabase, partition: DayPartition): Promise<boolean> =>
  changing(database, partition, async (transaction, exists) => {
    if (exists) return;
    const { table, from, to } = partition;
    const [name, rest] = [sql.table(partition.name), sql.table(`${table}_default`)];
    await sql`create table ${name} (like ${sql.table(table)} including all)`.execute(transaction);
    await sql`lock table ${rest} in access exclusive mode`.execute(transaction);
    await sql`
      with moved as (
        delete from ${rest}
        where received_at >= ${from}::timestamptz and received_at < ${to}::timestamptz
        returning *
      )
      insert into ${name} select * from moved`.execute(transaction);
    await attach(transaction, partition);
  });

/**
 * Drops a day's partition and keeps those of its rows that `kept` selects, which become the partition
 * of the day. They are copied before appends are locked out, which is for some milliseconds then.
 *
 * @returns false when a lock was not got in time: nothing has changed.
 */
export const dropPartition = (
  database: JournalDatabase,
  partition: DayPartition,
  kept?: RawBuilder<unknown>,
): Promise<boolean> =>
  changing(database, partition, async (transaction, exists) => {
    if (!exists) return;
    const name = sql.table(partition.name);
    const copy = sql.table(`${partition.name}_kept`);
    let copied = 0n;
    if (kept !== undefined) {
      // Readers go on; nobody may add a row that would not be copied.
      await sql`lock table ${name} in share mode`.execute(transaction);
      await sql`create table ${copy} (like ${name} including all)`.execute(transaction);
      // Here the whole partition is to be read, which other statements of the journal must not.
      await sql`set local enable_seqscan = on`.execute(transaction);
      const { numAffectedRows } = await sql`insert into ${copy} ${kept}`.execute(transaction);
      copied = numAffectedRows ?? 0n;
      if (copied === 0n) await sql`drop table ${copy}`.execute(transaction);
    }
    await sql`drop table ${name}`.execute(transaction);
    if (copied === 0n) return;
    await sql`alter table ${copy} rename to ${sql.id(partition.name)}`.execute(transaction);
    await attach(transaction, partition);
  });

/** How many rows a partition has, when the database last counted them; 0 before it has. */
export async function rowsEstimated(
  database: JournalDatabase,
  { name }: DayPartition,
): Promise<number> {
  const { rows } = await sql<{ rows: number }>`
    select reltuples::float8 as rows from pg_class where oid = to_regclass(${name})`.execute(
    database,
  );
  return Math.max(0, rows[0]?.rows ?? 0);
}

/** Changes a partition where no other process changes one; false when a lock was not got in time. */
async function changing(
  database: JournalDatabase,
  { name }: DayPartition,
  act: (transaction: JournalDatabase, exists: boolean) => Promise<void>,
): Promise<boolean> {
  try {
    await database.transaction().execute(async (transaction) => {
      await sql`set local lock_timeout = ${sql.lit(LOCK_MS_MAX)}`.execute(transaction);
      await sql`select pg_advisory_xact_lock(hashtextextended('tidegate partitions', 0))`.execute(
        transaction,
      );
      const { rows } = await sql<{ exists: boolean }>`
        select to_regclass(${name}) is not null as exists`.execute(transaction);
      await act(transaction, rows[0]?.exists === true);
    });
    return true;
  } catch (error) {
    if (isLockTimeout(error)) return false;
    throw error;
  }
}

const attach = (
  transaction: JournalDatabase,
  { table, name, from, to }: DayPartition,
): Promise<unknown> =>
  sql`
    alter table ${sql.table(table)} attach partition ${sql.table(name)}
    for values from (${sql.lit(from.toISOString())}) to (${sql.lit(to.toISOString())})`.execute(
    transaction,
  );

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: `lock_not_available` */
const isLockTimeout = (error: unknown): boolean =>
  TidegateError.is(error, 'journal_unavailable') && error.details.sqlState === '55P03';
