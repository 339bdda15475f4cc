import { sql } from 'kysely';
import type { Outcome, SettleRunInput } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import { PREPARED } from './prepared.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedJson, sealedText, tenantOf } from './sealing.ts';
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
const reach = (through: number): ReturnType<typeof sql> => sql`
  case when runs.passed_over_through > ${through}::bigint then coalesce(
    (
      select min(deliveries.number) - 1
      from deliveries
      where deliveries.run = runs.run and deliveries.number > ${through}::bigint
        and not exists (
          select from undeliverable
          where undeliverable.run = deliveries.run and undeliverable.number = deliveries.number
            and undeliverable.passed_over
        )
    ), runs.accepted_through)
  else ${through}::bigint end`;

/**
 * Settles a run's deliveries through a number, from where the last settlement ended: one statement,
 * in which the run's row is locked first. Does nothing when they are settled already. Once all are
 * settled, the run gives its slots back: its row is where they are held, so none can leak.
 *
 * @returns whether it settled anything.
 */
export async function settle(database: JournalDatabase, settlement: Settlement): Promise<boolean> {
  const { run, through, outcome, workflowRunId, reason, window, result } = settlement;
  const tenant = tenantOf(run);
  const { rows } = await sql`${PREPARED}
    with locked as (
      select run, settled_through, workflow_run_id, status,
        flow, tenant, throttle_key, concurrency_key, waits_since, begun_at, accepted_through,
        ${reach(through)} as through
      from runs
      where run = ${run} and settled_through < ${through}::bigint
      for update
    ), reached as (
      select *, accepted_through <= through as is_all from locked
    ), settled as (
      insert into settlements (
        run, from_number, through_number, outcome, reason, "window", result, workflow_run_id
      )
      select run, settled_through + 1, through, ${outcome},
        ${reason === undefined ? null : sealedText(storable(reason), { tenant, column: 'reason' })}::text,
        ${window === undefined ? null : sealedJson(window, { tenant, column: 'window' })}::json,
        ${result === undefined ? null : sealedJson(result, { tenant, column: 'result' })}::json,
        coalesce(${workflowRunId ?? null}::text, workflow_run_id, '')
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
      workflow_run_id = coalesce(runs.workflow_run_id, ${workflowRunId ?? null}::text),
      sent_through = greatest(runs.sent_through, reached.through),
      accepted_through = greatest(runs.accepted_through, reached.through),
      status = case when runs.accepted_through > reached.through then 'open' else 'settled' end,
      concurrency_key = case when not is_all then runs.concurrency_key end,
      throttle_key = case when not is_all then runs.throttle_key end,
      waits_since = case when not is_all then runs.waits_since end,
      begun_at = case when not is_all then runs.begun_at end,
      placed = runs.placed and not is_all,
      -- A lost run can no longer say that its inbox has room again.
      held = case when ${outcome} = 'lost' then false else runs.held end,
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
  return rows.length > 0;
}
