import { sql } from 'kysely';
import type { Delivery } from '../model/event.ts';
import type { RunId } from '../model/run.ts';
import type { PendingRun, SentMark } from './deliveries.ts';
import { eventsBySeq, isRecent } from './event-data.ts';
import { PREPARED } from './prepared.ts';
import type { JournalDatabase } from './schema.ts';
import { receivedAfter } from './settle.ts';
import { storable } from './text.ts';

/** The runs of one tenant that are looked at in one go: the others' come first, then there is a next time. */
const PENDING_RUNS_OF_TENANT_MAX = 500;

interface WatermarkRow {
  readonly run: RunId;
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
  readonly accepted_through: number;
  readonly sent_through: number;
  readonly settled_through: number;
  readonly namespace: string | null;
}

/** The columns of a run that {@link pendingRun} needs. */
export const WATERMARK_COLUMNS = [
  'runs.run',
  'runs.flow',
  'runs.tenant',
  'runs.key',
  'runs.accepted_through',
  'runs.sent_through',
  'runs.settled_through',
  'runs.namespace',
] as const;

export const pendingRun = (row: WatermarkRow): PendingRun => ({
  run: row.run,
  flow: row.flow,
  tenant: row.tenant,
  key: row.key,
  acceptedThrough: row.accepted_through,
  sentThrough: row.sent_through,
  settledThrough: row.settled_through,
  ...(row.namespace !== null && { namespace: row.namespace }),
});

/**
 * The oldest of each tenant, then the second oldest of each, and so on. The tenants are found by going
 * from one to the next in the index, which costs as much as there are tenants and not as there are runs.
 * https://wiki.postgresql.org/wiki/Loose_indexscan
 */
export async function pendingRuns(
  database: JournalDatabase,
  lanes: readonly number[],
  limit: number,
): Promise<readonly PendingRun[]> {
  if (lanes.length === 0 || limit === 0) return [];
  const { rows } = await sql<WatermarkRow>`
    with recursive tenants as (
      (select tenant from runs where to_send order by tenant limit 1)
      union all
      select (
        select runs.tenant from runs where to_send and runs.tenant > tenants.tenant
        order by runs.tenant limit 1
      )
      from tenants where tenants.tenant is not null
    )
    select ${sql.join(WATERMARK_COLUMNS.map((column) => sql.ref(column)))}
    from tenants cross join lateral (
      select *, row_number() over (order by pending_since) as turn from (
        select * from runs
        where to_send and runs.tenant = tenants.tenant
          and lane = any(${[...lanes]}::smallint[])
        order by pending_since
        limit ${Math.min(limit, PENDING_RUNS_OF_TENANT_MAX)}::int
      ) as oldest
    ) as runs
    where tenants.tenant is not null
    order by turn, pending_since
    limit ${limit}::int`.execute(database);
  return rows.map(pendingRun);
}

/** Whether the run has asked to be sent nothing for now, or waits for a person to let it go on. */
export async function isHeld(database: JournalDatabase, run: RunId): Promise<boolean> {
  const row = await database
    .selectFrom('runs')
    .select(['held', 'fused_at', 'undeliverable_since'])
    .where('run', '=', run)
    .executeTakeFirst();
  return (
    row !== undefined && (row.held || row.fused_at !== null || row.undeliverable_since !== null)
  );
}

export async function deliveriesAfter(
  database: JournalDatabase,
  run: RunId,
  after: number,
  bounds: { readonly count: number; readonly bytes: number },
): Promise<readonly Delivery[]> {
  const { rows } = await sql<{
    number: number;
    seq: number;
    envelope: Delivery['event'] | null;
  }>`${PREPARED}
    select number, seq, envelope
    from (
      select deliveries.number, events.seq, event_data.envelope, events.envelope_bytes,
        sum(events.envelope_bytes) over (order by deliveries.number) as bytes_through
      from deliveries join events on events.seq = deliveries.event_seq
      left join event_data on event_data.received_at = events.received_at
        and event_data.event_seq = events.seq and ${isRecent()}
      where deliveries.run = ${run} and deliveries.number > ${after}::bigint
        and not exists (
          select from runs
          where run = ${run}
            and (waits_since is not null or fused_at is not null or undeliverable_since is not null)
        )
        -- What a dispatcher remembers may end before a delivery that was passed over since.
        and (
          deliveries.number > coalesce((select passed_over_through from runs where run = ${run}), 0)
          or not exists (
            select from undeliverable
            where undeliverable.run = ${run} and undeliverable.number = deliveries.number
              and undeliverable.passed_over
          )
        )
      order by deliveries.number
      limit ${Math.max(1, bounds.count)}::int
    ) as next
    -- The first goes alone when it is larger than all that may go together.
    where bytes_through <= ${bounds.bytes}::bigint or bytes_through = envelope_bytes
    order by number`.execute(database);
  const older = await eventsBySeq(
    database,
    rows.flatMap(({ seq, envelope }) => (envelope === null ? [seq] : [])),
  );
  return rows.flatMap(({ number, seq, envelope }) => {
    const event = envelope ?? older.get(seq);
    return event === undefined ? [] : [{ number, event }];
  });
}

/**
 * Without waiting for the disk: what a crash of the server forgets is sent again, which runs recognise.
 * https://www.postgresql.org/docs/current/wal-async-commit.html
 */
export async function markSent(
  database: JournalDatabase,
  holder: string,
  marks: readonly SentMark[],
): Promise<void> {
  if (marks.length === 0) return;
  await sql`${PREPARED}
    with unhurried as (
      select set_config('synchronous_commit', 'off', true)
    ), mark as (
      select distinct on (run) *
      from json_to_recordset(${JSON.stringify(marks)}::json) as mark (
        run text, through bigint, execution text
      )
      order by run, through desc
    ), held as (
      select runs.run, least(mark.through, runs.accepted_through) as through,
        case when runs.workflow_run_id is null and runs.settled_through = 0 then mark.execution end
          as first_execution
      from mark
      join runs on runs.run = mark.run
      join lanes on lanes.lane = runs.lane
      where lanes.holder = ${holder}
      -- The order in which an append locks them.
      order by runs.run
      for update of runs
    )
    update runs set
      sent_through = greatest(runs.sent_through, held.through),
      pending_since = case
        when runs.sent_through >= held.through then runs.pending_since
        else ${receivedAfter(sql.ref('runs.run'), sql`held.through`)}
      end,
      -- A late note of what is settled does not tell of the run that waits or begins since.
      begun_at = case
        when runs.concurrency_key is null or runs.waits_since is not null then null
        when held.through > runs.settled_through then coalesce(runs.begun_at, now())
        else runs.begun_at
      end,
      workflow_run_id = coalesce(held.first_execution, runs.workflow_run_id),
      opened_at = case when held.first_execution is null then runs.opened_at else now() end,
      dispatch_error = null,
      updated_at = now(),
      touched_at = now()
    from held cross join unhurried
    where runs.run = held.run`.execute(database);
}

export async function markDispatchFailed(
  database: JournalDatabase,
  run: RunId,
  error: string,
): Promise<void> {
  await database
    .updateTable('runs')
    .set({ dispatch_error: storable(error), updated_at: sql<Date>`now()` })
    .where('run', '=', run)
    .execute();
}

export async function markRecovered(database: JournalDatabase, run: RunId): Promise<void> {
  await database
    .updateTable('runs')
    .set({ dispatch_error: null, updated_at: sql<Date>`now()` })
    .where('run', '=', run)
    .where('dispatch_error', 'is not', null)
    // Else it may say why what is left is not sent.
    .whereRef('sent_through', '=', 'accepted_through')
    .execute();
}

/** Giving a run out touches it, so that the next call gives out others. */
export async function doubtfulRuns(
  database: JournalDatabase,
  lanes: readonly number[],
  idleMs: number,
  limit: number,
): Promise<readonly PendingRun[]> {
  if (lanes.length === 0) return [];
  const rows = await database
    .with('doubtful', (query) =>
      query
        .selectFrom('runs')
        .select('run')
        .where('to_settle', '=', true)
        .where('lane', 'in', [...lanes])
        .where('touched_at', '<=', sql<Date>`now() - ${idleMs}::float8 * interval '1 millisecond'`)
        .orderBy('touched_at')
        .limit(limit)
        .forUpdate()
        // Whoever holds the row is touching it: it is not idle.
        .skipLocked(),
    )
    .updateTable('runs')
    .from('doubtful')
    .set({ touched_at: sql<Date>`now()` })
    .whereRef('runs.run', '=', 'doubtful.run')
    .returning(WATERMARK_COLUMNS)
    .execute();
  return rows.map(pendingRun);
}
