import { sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import type { JournalDatabase } from './schema.ts';
import { isStorable } from './text.ts';

/** Events of these types that were delivered to each of these runs, the latest LIMITS.maskEventsMax of each. */
export async function eventsOfRuns(
  database: JournalDatabase,
  runs: readonly RunId[],
  types: readonly string[],
): Promise<ReadonlyMap<RunId, readonly TidegateEvent[]>> {
  const wanted = [...new Set(runs)].filter(isStorable);
  if (wanted.length === 0 || types.length === 0) return new Map();
  const { rows } = await sql<{ run: RunId; envelope: TidegateEvent }>`
    select wanted.run, latest.envelope
    from json_array_elements_text(${JSON.stringify(wanted)}::json) as wanted (run)
    cross join lateral (
      select events.envelope
      from deliveries join events on events.seq = deliveries.event_seq
      where deliveries.run = wanted.run
        and events.type in (select json_array_elements_text(${JSON.stringify(types)}::json))
      order by deliveries.number desc
      limit ${LIMITS.maskEventsMax}::int
    ) as latest`.execute(database);
  const found = new Map<RunId, TidegateEvent[]>();
  for (const { run, envelope } of rows) found.set(run, [...(found.get(run) ?? []), envelope]);
  return found;
}
