/**
 * Erases event data whose time is over. An event loses its data and all that was made of it; that it
 * happened, under which id and in which run, is remembered longer, so that a repeat of it is still a
 * duplicate and numbers of a run never come twice. What is not settled, held or waits for a person is
 * never touched.
 */
import { sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { DAY_MS, daysKept, daysKeptLeast, type Retention } from '../model/retention.ts';
import type { Erased } from './journal.ts';
import { deleteOfEvents } from './raw-deliveries.ts';
import type { JournalDatabase } from './schema.ts';
import { whenSent } from './sealing.ts';

/** One round over the journal, in bounded transactions; one process at a time, another's round does nothing. */
export async function eraseDue(
  database: JournalDatabase,
  retention: Retention,
  now: Date,
): Promise<Erased> {
  const least = daysKeptLeast(retention);
  if (least === undefined) return { events: 0, rejections: 0, forgotten: 0 };
  const before = new Date(now.getTime() - least * DAY_MS);
  const isDue = ({ tenant, type, received_at: receivedAt }: Aged): boolean => {
    const days = daysKept(retention, { tenant, type: type ?? '' });
    return days !== undefined && receivedAt.getTime() < now.getTime() - days * DAY_MS;
  };
  const forgottenBefore = new Date(now.getTime() - retention.rememberDays * DAY_MS);
  return {
    events: await eachPage(database, 'events', { before, isDue, act: eraseEvents }),
    rejections: await eachPage(database, 'rejections', { before, isDue, act: deleteRejections }),
    forgotten: await forget(database, forgottenBefore),
  };
}

interface Aged {
  readonly seq: number;
  readonly tenant: string;
  readonly type: string | null;
  readonly received_at: Date;
}

/** Looks at every row that may be due, a page at a time, and acts on those that are. */
async function eachPage(
  database: JournalDatabase,
  table: 'events' | 'rejections',
  {
    before,
    isDue,
    act,
  }: {
    readonly before: Date;
    readonly isDue: (row: Aged) => boolean;
    readonly act: (transaction: JournalDatabase, seqs: readonly number[]) => Promise<number>;
  },
): Promise<number> {
  const rowsMax = LIMITS.erasedPerTransactionMax;
  const hasData = table === 'events' ? sql`erased_at is null` : sql`true`;
  let [after, done] = [0, 0];
  for (;;) {
    const { rows } = await sql<Aged>`
      select seq, tenant, type, received_at
      from ${sql.table(table)}
      where seq > ${after}::bigint and received_at < ${before}::timestamptz and ${hasData}
      order by seq
      limit ${rowsMax}::int`.execute(database);
    const due = rows.filter(isDue).map(({ seq }) => seq);
    done += await alone(database, (transaction) => act(transaction, due));
    const last = rows.at(-1);
    if (rows.length < rowsMax || last === undefined) return done;
    after = last.seq;
  }
}

/** Acts where no other process does; the next round comes back to what was left. */
const alone = (
  database: JournalDatabase,
  act: (transaction: JournalDatabase) => Promise<number>,
): Promise<number> =>
  database.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(hashtextextended('tidegate retention', 0)) as free`.execute(
      transaction,
    );
    return rows[0]?.free ? act(transaction) : 0;
  });

async function eraseEvents(transaction: JournalDatabase, seqs: readonly number[]): Promise<number> {
  if (seqs.length === 0) return 0;
  const { rows } = await sql<{ seq: number; envelope: TidegateEvent }>`
    select events.seq, events.envelope
    from events
    where events.seq in (select json_array_elements_text(${JSON.stringify(seqs)}::json)::bigint)
      and events.erased_at is null
      and not exists (
        select from held_deliveries
        where held_deliveries.event_seq = events.seq and held_deliveries.closed_at is null
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
  await eraseMade(
    transaction,
    rows.map(({ seq }) => seq),
  );
  const skeletons = whenSent((seal) =>
    JSON.stringify(
      rows.map(({ seq, envelope }) => ({
        seq,
        envelope: seal(JSON.stringify(skeletonOf(envelope)), {
          tenant: envelope.tenantid,
          column: 'envelope',
        }),
      })),
    ),
  );
  await sql`
    update events set envelope = skeleton.envelope::json, subject = null, reason = null,
      erased_at = now()
    from json_to_recordset(${skeletons}::json) as skeleton (seq bigint, envelope text)
    where events.seq = skeleton.seq`.execute(transaction);
  return rows.length;
}

/** What an event is known by: not who did it, to whom, and what. */
const skeletonOf = (event: TidegateEvent): TidegateEvent => ({
  specversion: '1.0',
  id: event.id,
  source: event.source,
  type: event.type,
  time: event.time,
  data: null,
  tenantid: event.tenantid,
  schemaversion: event.schemaversion,
  correlationid: event.correlationid,
  ...(event.causationid === undefined ? {} : { causationid: event.causationid }),
  origin: event.origin,
  hops: event.hops,
});

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
    done += forgotten;
    if (forgotten < LIMITS.erasedPerTransactionMax) return done;
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
      returning run
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
