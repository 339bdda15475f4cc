import { sql } from 'kysely';
import type { Outcome, SettleRunInput } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import { PREPARED } from './prepared.ts';
import type { JournalDatabase } from './schema.ts';
import { type SealedColumn, tenantOf, whenSent } from './sealing.ts';
import { storable } from './text.ts';

export interface Settlement {
  readonly run: RunId;
  readonly through: number;
  readonly outcome: Outcome;
  /** The execution that decided; without it, the one that the run's row knows. */
  readonly workflowRunId?: string;
  readonly reason?: string;
  readonly window?: SettleRunInput['window'];
  readonly result?: SettleRunInput['result'];
}

/** When the delivery after a number was received: null when there is none. */
export const receivedAfter = (run: ReturnType<typeof sql.ref>, number: ReturnType<typeof sql>) =>
  sql<Date | null>`(
    select events.received_at
    from deliveries join events on events.seq = deliveries.event_seq
    where deliveries.run = ${run} and deliveries.number = ${number} + 1
  )`;

/**
 * How far a settlement through a number reaches: also what follows it and was passed over, which no
 * execution will ever settle.
 */
const REACH = sql`
  case when runs.passed_over_through > entry.through then coalesce(
    (
      select min(deliveries.number) - 1
      from deliveries
      where deliveries.run = runs.run and deliveries.number > entry.through
        and not exists (
          select from undeliverable
          where undeliverable.run = deliveries.run and undeliverable.number = deliveries.number
            and undeliverable.passed_over
        )
    ), runs.accepted_through)
  else entry.through end`;

/** @returns whether it settled anything. */
export const settle = async (database: JournalDatabase, settlement: Settlement): Promise<boolean> =>
  (await settleAll(database, [settlement])) > 0;

/**
 * Settles deliveries of runs through a number, each from where its run's last settlement ended: one statement,
 * in which the rows of the runs are locked first, in a fixed order. Does nothing for a run where they are settled
 * already. Once all of a run's are settled, the run gives its slots back: its row is where they are held, so none
 * can leak.
 *
 * @param settlements at most one of a run.
 * @returns of how many runs it settled anything.
 */
export async function settleAll(
  database: JournalDatabase,
  settlements: readonly Settlement[],
): Promise<number> {
  const { rows } = await sql`${PREPARED}
    with entry as (
      select * from json_to_recordset(${entryRows(settlements)}::json) as entry (
        run text, through bigint, outcome text, reason text, "window" text, result text, execution text
      )
    ), locked as (
      select runs.run, runs.settled_through, runs.workflow_run_id, runs.status,
        runs.flow, runs.tenant, runs.throttle_key, runs.concurrency_key, runs.waits_since, runs.begun_at,
        runs.accepted_through, entry.outcome, entry.reason, entry."window", entry.result, entry.execution,
        ${REACH} as through
      from entry join runs using (run)
      where runs.settled_through < entry.through
      -- The order in which an append and the dispatcher lock them.
      order by runs.run
      for update of runs
    ), reached as (
      select *, accepted_through <= through as is_all from locked
    ), settled as (
      insert into settlements (
        run, from_number, through_number, outcome, reason, "window", result, workflow_run_id
      )
      select run, settled_through + 1, through, outcome, reason, "window"::json, result::json,
        coalesce(execution, workflow_run_id, '')
      from reached
    ), closed as (
      update parks set closed_at = now()
      from reached
      where reached.status = 'parked' and parks.run = reached.run
        and parks.decided_at is null and parks.closed_at is null
    ), begun as (
      insert into throttle_begins (flow, tenant, throttle_key, begun_at)
      -- A run may settle before the dispatcher has noted that it was sent.
      select flow, tenant, throttle_key, coalesce(begun_at, now())
      from reached
      where is_all and throttle_key <> '' and waits_since is null
    ), freed as (
      insert into slot_checks (flow, tenant, concurrency_key, due_at)
      select flow, tenant, concurrency_key, now()
      from reached
      where is_all and concurrency_key <> ''
    )
    update runs set
      settled_through = reached.through,
      -- A first execution may settle before the dispatcher has noted where it sent the run.
      workflow_run_id = coalesce(runs.workflow_run_id, reached.execution),
      sent_through = greatest(runs.sent_through, reached.through),
      accepted_through = greatest(runs.accepted_through, reached.through),
      status = case when runs.accepted_through > reached.through then 'open' else 'settled' end,
      concurrency_key = case when not is_all then runs.concurrency_key end,
      throttle_key = case when not is_all then runs.throttle_key end,
      waits_since = case when not is_all then runs.waits_since end,
      begun_at = case when not is_all then runs.begun_at end,
      placed = runs.placed and not is_all,
      -- A lost run can no longer say that its inbox has room again.
      held = case when reached.outcome = 'lost' then false else runs.held end,
      dispatch_error =
        case when runs.accepted_through > reached.through then runs.dispatch_error end,
      pending_since = case
        when runs.sent_through >= reached.through then runs.pending_since
        else ${receivedAfter(sql.ref('runs.run'), sql`reached.through`)}
      end,
      updated_at = now(),
      touched_at = now()
    from reached
    where runs.run = reached.run
    returning runs.run`.execute(database);
  return rows.length;
}

/** As JSON text: a window and a result are texts in it, since unpacking them there would refuse `\u0000`. */
const entryRows = (settlements: readonly Settlement[]): string =>
  whenSent((seal) =>
    JSON.stringify(
      settlements.map(({ run, through, outcome, workflowRunId, reason, window, result }) => {
        const sealed = (text: string, column: SealedColumn) =>
          seal(text, { tenant: tenantOf(run), column });
        return {
          run,
          through,
          outcome,
          execution: workflowRunId,
          ...(reason !== undefined && { reason: sealed(storable(reason), 'reason') }),
          ...(window !== undefined && { window: sealed(JSON.stringify(window), 'window') }),
          ...(result !== undefined && { result: sealed(JSON.stringify(result), 'result') }),
        };
      }),
    ),
  );
