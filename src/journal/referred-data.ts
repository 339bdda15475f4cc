import { type RawBuilder, sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';

/**
 * Whether an execution may be open to which the data of a row of `events` went by reference, though the
 * event is settled: a worker that takes the execution over replays it from its beginning, with the data. An
 * execution is over when a later one has begun or has settled something, or when all is settled and it had
 * the time to end.
 */
export const isReferredTo: RawBuilder<unknown> = sql`(
    events.envelope_bytes > ${sql.lit(LIMITS.inlineDataBytesMax)}
    and exists (
      select
      from deliveries
        join runs on runs.run = deliveries.run
        join settlements as given on given.run = deliveries.run
          and deliveries.number between given.from_number and given.through_number
      where deliveries.event_seq = events.seq
        and (
          runs.settled_through < runs.accepted_through
          or runs.updated_at > now() - ${sql.lit(`${LIMITS.quietTimeMsMax} ms`)}::interval
        )
        and not coalesce(
          runs.workflow_run_id <> given.workflow_run_id and runs.opened_at > given.settled_at, false
        )
        and not exists (
          select from settlements as later
          where later.run = given.run and later.from_number > given.through_number
            and later.workflow_run_id <> given.workflow_run_id
        )
    )
  )`;
