/**
 * Erases event data whose time is over. An event loses its data and all that was made of it; that it
 * happened, under which id and in which run, is remembered longer, so that a repeat of it is still a
 * duplicate and numbers of a run never come twice. What is not settled, held or waits for a person is
 * never touched, nor is large data that an open execution of a run may need.
 *
 * First events are marked as erased, in bounded transactions, each with all that was made of it: from then
 * on nobody reads its data. Then the data goes: with the partition of its day when more of it goes than
 * stays, else row by row.
 */
import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import { DAY_MS, daysKept, daysKeptLeast, type Retention } from '../model/retention.ts';
import type { Erased } from './journal.ts';
import { type DayPartition, dayPartitions, dropPartition } from './partitions.ts';
import { deleteOfEvents } from './raw-deliveries.ts';
import { isReferredTo } from './referred-data.ts';
import { dueBefore, isToSweep, type Swept } from './retention-days.ts';
import type { JournalDatabase } from './schema.ts';

/** Rows that are copied when the partition they are in is dropped. */
const COPIED_ROWS_MAX = 20_000;

/** One round over the journal, in bounded transactions; one process at a time, another's round does nothing. */
export async function eraseDue(
  database: JournalDatabase,
  retention: Retention,
  now: Date,
): Promise<Erased> {
  if (daysKeptLeast(retention) === undefined) return { events: 0, rejections: 0, forgotten: 0 };
  const round: Round = { retention, now, rules: hashOf(retention) };
  return {
    events: await eraseDays(database, round),
    rejections: await eraseRejections(database, round),
    forgotten: await forget(database, new Date(now.getTime() - retention.rememberDays * DAY_MS)),
  };
}

interface Round {
  readonly retention: Retention;
  readonly now: Date;
  /** A hash of the rules: what was looked at under others is looked at again. */
  readonly rules: string;
}

const hashOf = ({ rules, days }: Retention): string =>
  createHash('sha256').update(JSON.stringify({ rules, days })).digest('base64url');

interface Aged {
  readonly tenant: string | null;
  readonly type: string | null;
  readonly received_at: Date;
}

const isDue = ({ retention, now }: Round, { tenant, type, received_at }: Aged): boolean => {
  const days = daysKept(retention, { tenant: tenant ?? '', type: type ?? '' });
  return days !== undefined && received_at < dueBefore(days, now);
};

/** Goes through the days in which something may be due, and what is in no day's partition. */
async function eraseDays(database: JournalDatabase, round: Round): Promise<number> {
  const partitions = await dayPartitions(database, 'event_data');
  const swept = await sweptDays(database, round);
  const due = partitions.filter((partition) =>
    isToSweep(round.retention, partition.to, swept.get(dayOf(partition)), round.now),
  );
  let erased = 0;
  for (const partition of [...due, undefined]) {
    const sweep = await markDue(database, round, partition);
    if (sweep === undefined) return erased;
    erased += sweep.erased;
    const isGone = await removeData(database, sweep, partition);
    if (partition !== undefined && isGone) await noteSwept(database, round, partition, sweep);
  }
  return erased;
}

/** What was found in one partition, and what was done. */
interface Sweep {
  /** Events that were marked now. */
  readonly erased: number;
  /** Rows of events that are erased, now or before. */
  readonly goes: number;
  readonly stays: number;
  /** Those of them whose time is over, and which are open. */
  readonly open: number;
}

/** Undefined when another process is at it. */
async function markDue(
  database: JournalDatabase,
  round: Round,
  partition: DayPartition | undefined,
): Promise<Sweep | undefined> {
  let sweep: Sweep = { erased: 0, goes: 0, stays: 0, open: 0 };
  for await (const rows of pagesOf(database, partition)) {
    const due = rows.filter((row) => !row.is_erased && isDue(round, row));
    const erased = await alone(database, (transaction) =>
      eraseEvents(
        transaction,
        due.map(({ seq }) => seq),
      ),
    );
    if (erased === undefined) return undefined;
    const goes = rows.filter((row) => row.is_erased).length + erased;
    sweep = {
      erased: sweep.erased + erased,
      goes: sweep.goes + goes,
      stays: sweep.stays + rows.length - goes,
      open: sweep.open + due.length - erased,
    };
  }
  return sweep;
}

interface DataRow extends Aged {
  readonly seq: number;
  /** When it was received, to the microsecond. */
  readonly at: string;
  readonly is_erased: boolean;
}

/** All rows of a day's partition, or of the default one. */
async function* pagesOf(
  database: JournalDatabase,
  partition: DayPartition | undefined,
): AsyncGenerator<readonly DataRow[]> {
  const table = sql.table(partition?.name ?? 'event_data_default');
  let after = sql`true`;
  for (;;) {
    const { rows } = await sql<DataRow>`
      select data.event_seq as seq, data.received_at, data.received_at::text as at,
        events.tenant, events.type, events.seq is null or events.erased_at is not null as is_erased
      from ${table} as data left join events on events.seq = data.event_seq
      where ${after}
      order by data.received_at, data.event_seq
      limit ${LIMITS.erasedPerTransactionMax}::int`.execute(database);
    if (rows.length > 0) yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < LIMITS.erasedPerTransactionMax) return;
    after = sql`(data.received_at, data.event_seq) > (${last.at}::timestamptz, ${last.seq}::bigint)`;
  }
}

/** Removes the data of events that are erased; false when a lock was not got, and there is a next round. */
async function removeData(
  database: JournalDatabase,
  { goes, stays }: Sweep,
  partition: DayPartition | undefined,
): Promise<boolean> {
  const isToDrop = stays === 0 || (goes > stays && stays <= COPIED_ROWS_MAX);
  if (partition !== undefined && isToDrop) {
    return dropPartition(database, partition, keptRows(partition));
  }
  if (goes === 0) return true;
  for await (const rows of pagesOf(database, partition)) {
    const gone = rows.flatMap(({ is_erased: isErased, seq }) => (isErased ? [seq] : []));
    const times = rows.map((row) => row.received_at.getTime());
    await sql`
      delete from event_data
      where event_seq in (select json_array_elements_text(${JSON.stringify(gone)}::json)::bigint)
        and received_at >= ${new Date(Math.min(...times))}::timestamptz
        and received_at < ${new Date(Math.max(...times) + 1)}::timestamptz`.execute(database);
  }
  return true;
}

const keptRows = ({ name }: DayPartition): RawBuilder<unknown> => sql`
  select data.*
  from ${sql.table(name)} as data join events on events.seq = data.event_seq
  where events.erased_at is null`;

const dayOf = ({ from }: DayPartition): string => from.toISOString().slice(0, 10);

/** What was looked at under these rules, by day. */
async function sweptDays(
  database: JournalDatabase,
  { rules }: Round,
): Promise<ReadonlyMap<string, Swept>> {
  const { rows } = await sql<{ day: string; swept_at: Date; is_done: boolean }>`
    select day::text as day, swept_at, is_done from swept_days where rules = ${rules}`.execute(
    database,
  );
  return new Map(
    rows.map(({ day, swept_at: at, is_done: isDone }) => [day, { at, isDone }] as const),
  );
}

async function noteSwept(
  database: JournalDatabase,
  { rules, now }: Round,
  partition: DayPartition,
  { open }: Sweep,
): Promise<void> {
  await sql`
    insert into swept_days (day, rules, swept_at, is_done)
    values (${dayOf(partition)}::date, ${rules}, ${now}::timestamptz, ${open === 0})
    on conflict (day) do update
      set rules = excluded.rules, swept_at = excluded.swept_at, is_done = excluded.is_done`.execute(
    database,
  );
}

/** Refused events go by their own age, row by row. */
async function eraseRejections(database: JournalDatabase, round: Round): Promise<number> {
  const rowsMax = LIMITS.erasedPerTransactionMax;
  const before = dueBefore(daysKeptLeast(round.retention) ?? 0, round.now);
  let [after, done] = [0, 0];
  for (;;) {
    const { rows } = await sql<Aged & { readonly seq: number }>`
      select seq, tenant, type, received_at
      from rejections
      where seq > ${after}::bigint and received_at < ${before}::timestamptz
      order by seq
      limit ${rowsMax}::int`.execute(database);
    const due = rows.filter((row) => isDue(round, row)).map(({ seq }) => seq);
    const deleted = await alone(database, (transaction) => deleteRejections(transaction, due));
    const last = rows.at(-1);
    if (deleted === undefined) return done;
    done += deleted;
    if (rows.length < rowsMax || last === undefined) return done;
    after = last.seq;
  }
}

/** Acts where no other process does, else undefined: the next round comes back to what was left. */
const alone = (
  database: JournalDatabase,
  act: (transaction: JournalDatabase) => Promise<number>,
): Promise<number | undefined> =>
  database.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(hashtextextended('tidegate retention', 0)) as free`.execute(
      transaction,
    );
    return rows[0]?.free ? act(transaction) : undefined;
  });

async function eraseEvents(transaction: JournalDatabase, seqs: readonly number[]): Promise<number> {
  if (seqs.length === 0) return 0;
  const { rows } = await sql<{ seq: number }>`
    select events.seq
    from events
    where events.seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)
      and events.erased_at is null
      and not ${isReferredTo}
      and not exists (
        select from held_deliveries
        where held_deliveries.event_seq = events.seq and held_deliveries.closed_at is null
      )
      and not exists (
        select from undeliverable
        where undeliverable.event_seq = events.seq and undeliverable.closed_at is null
      )
      and not exists (
        select
        from deliveries join runs on runs.run = deliveries.run
        where deliveries.event_seq = events.seq
          and (deliveries.number > runs.settled_through or runs.status = 'parked')
      )
      and not exists (
        select
        from deliveries join settlements on settlements.run = deliveries.run
          and deliveries.number between settlements.from_number and settlements.through_number
        where deliveries.event_seq = events.seq
          and settlements.outcome = 'lost' and settlements.closed_at is null
      )
    order by events.seq
    -- Who delivers an event again locks it first.
    for update of events skip locked`.execute(transaction);
  if (rows.length === 0) return 0;
  const erased = rows.map(({ seq }) => seq);
  await eraseMade(transaction, erased);
  await sql`
    update events set subject = null, reason = null, erased_at = now()
    where seq in (select json_array_elements_text(${JSON.stringify(erased)}::json)::bigint)`.execute(
    transaction,
  );
  return rows.length;
}

/** What runs have made of these events: windows and all that belongs to them, whatever else was in them. */
async function eraseMade(transaction: JournalDatabase, seqs: readonly number[]): Promise<void> {
  const windows = sql`
    select distinct settlements.run, settlements.from_number, settlements.through_number
    from deliveries join settlements on settlements.run = deliveries.run
      and deliveries.number between settlements.from_number and settlements.through_number
    where deliveries.event_seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)`;
  const within = (run: string, number: ReturnType<typeof sql>) =>
    sql`${sql.ref(run)} = made.run and ${number} between made.from_number and made.through_number`;
  // A park's id, and what follows the run in an idempotency key, begin with the window's first number.
  const numberIn = (text: ReturnType<typeof sql>) =>
    sql`coalesce(substring(${text} from '^(\\d{1,18})/')::bigint, 0)`;
  for (const statement of [
    deleteOfEvents(seqs),
    sql`delete from voices using (${windows}) as made
      where ${within('voices.run', numberIn(sql`voices.park_id`))}`,
    sql`delete from parks using (${windows}) as made
      where ${within('parks.run', numberIn(sql`parks.park_id`))}`,
    sql`delete from step_records using (${windows}) as made
      where ${within('step_records.run', sql`step_records.window_number`)}`,
    sql`delete from outbox using (${windows}) as made
      where ${within('outbox.run', numberIn(sql`substr(outbox.idempotency_key, length(outbox.run) + 2)`))}`,
    sql`update settlements set reason = null, "window" = null, result = null
      from (${windows}) as made
      where settlements.run = made.run and settlements.from_number = made.from_number`,
    sql`delete from held_deliveries
      where event_seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)`,
  ]) {
    await statement.execute(transaction);
  }
}

async function deleteRejections(
  transaction: JournalDatabase,
  seqs: readonly number[],
): Promise<number> {
  if (seqs.length === 0) return 0;
  const { numAffectedRows } = await sql`
    delete from rejections
    where seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)`.execute(
    transaction,
  );
  return Number(numAffectedRows ?? 0);
}

/** Events that have lost their data long ago, and the runs that had only such. */
async function forget(database: JournalDatabase, before: Date): Promise<number> {
  let done = 0;
  for (;;) {
    const forgotten = await alone(database, async (transaction) => {
      const { rows } = await sql<{ seq: number }>`
        delete from events where seq in (
          select seq from events
          where erased_at is not null and received_at < ${before}::timestamptz
          order by received_at, seq
          limit ${LIMITS.erasedPerTransactionMax}::int
        )
        returning seq`.execute(transaction);
      if (rows.length > 0)
        await forgetRuns(
          transaction,
          rows.map(({ seq }) => seq),
          before,
        );
      return rows.length;
    });
    done += forgotten ?? 0;
    if (forgotten === undefined || forgotten < LIMITS.erasedPerTransactionMax) return done;
  }
}

async function forgetRuns(
  transaction: JournalDatabase,
  seqs: readonly number[],
  before: Date,
): Promise<void> {
  const { rows } = await sql<{ run: string }>`
    with gone as (
      delete from deliveries
      where event_seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)
      returning run, number
    ), set_aside as (
      -- Closed ones: an open one keeps its event.
      delete from undeliverable using gone
      where undeliverable.run = gone.run and undeliverable.number = gone.number
    )
    select distinct run from gone`.execute(transaction);
  const runs = JSON.stringify(rows.map(({ run }) => run));
  const ofRuns = sql`run in (select json_array_elements_text(${runs}::json))`;
  await sql`
    delete from settlements
    where ${ofRuns} and not exists (
      select from deliveries
      where deliveries.run = settlements.run
        and deliveries.number between settlements.from_number and settlements.through_number
    )`.execute(transaction);
  await sql`
    delete from runs
    where ${ofRuns} and status = 'settled' and settled_through = accepted_through
      and updated_at < ${before}::timestamptz
      and not exists (select from deliveries where deliveries.run = runs.run)`.execute(transaction);
}
