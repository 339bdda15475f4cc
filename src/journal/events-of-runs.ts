import { sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import { eventsBySeq } from './event-data.ts';
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
  const { rows } = await sql<{ run: RunId; seq: number }>`
    select wanted.run, latest.seq
    from json_array_elements_text(${JSON.stringify(wanted)}::json) as wanted (run)
    cross join lateral (
      select events.seq
      from deliveries join events on events.seq = deliveries.event_seq
      where deliveries.run = wanted.run
        and events.type in (select json_array_elements_text(${JSON.stringify(types)}::json))
      order by deliveries.number desc
      limit ${LIMITS.maskEventsMax}::int
    ) as latest`.execute(database);
  const events = await eventsBySeq(
    database,
    rows.map(({ seq }) => seq),
  );
  const found = new Map<RunId, TidegateEvent[]>();
  for (const { run, seq } of rows) {
    const event = events.get(seq);
    if (event !== undefined) found.set(run, [...(found.get(run) ?? []), event]);
  }
  return found;
}
