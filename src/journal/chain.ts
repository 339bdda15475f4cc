/** The runs by which a story has come to an event. */
import { sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import type { JournalDatabase } from './schema.ts';

/**
 * The runs whose flows emitted this event, the event that caused it, and so on, the first one first. An
 * event of a flow names the event that opened the window it came from; the run is the one of that flow
 * among the deliveries of it. Bounded by the hops that a story may have.
 */
export async function ancestorsOf(
  database: JournalDatabase,
  { tenantid, correlationid, source, causationid }: TidegateEvent,
): Promise<readonly RunId[]> {
  if (causationid === undefined) return [];
  const { rows } = await sql<{ run: RunId }>`
    with recursive chain (depth, source, cause, run) as (
      select 0, ${source}::text collate "C", ${causationid}::text collate "C", null::text collate "C"
      union all
      select chain.depth + 1, event.source, event.causation_id, event.run
      from chain cross join lateral (
        select events.source, events.causation_id, deliveries.run
        from events
        join deliveries on deliveries.event_seq = events.seq
        join runs on runs.run = deliveries.run
        where events.id = chain.cause and events.tenant = ${tenantid}
          and events.correlation_id = ${correlationid}
          and runs.flow = substr(chain.source, length('tidegate/') + 1)
        order by events.seq
        limit 1
      ) as event
      where chain.depth <= ${LIMITS.hopsMax}::int
    )
    select run from chain where run is not null order by depth desc`.execute(database);
  return rows.map(({ run }) => run);
}
