import { sql } from 'kysely';
import { LANES } from './journal.ts';
import type { JournalDatabase } from './schema.ts';

/**
 * The lane of a run, 0 to 63: FNV-1a of its id. It is stored with the run, so it never changes.
 * http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function runLane(run: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < run.length; index += 1) {
    hash = Math.imul(hash ^ run.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % LANES;
}

/** Renews the holder's lanes and takes every free or expired one, by the database's clock. */
export async function leaseLanes(
  database: JournalDatabase,
  holder: string,
  ttlMs: number,
): Promise<readonly number[]> {
  const { rows } = await sql<{ lane: number }>`
    with mine as (
      select lane from lanes
      where holder is null or holder = ${holder} or expires_at < clock_timestamp()
      order by lane
      for update
    )
    update lanes
    set holder = ${holder},
      expires_at = clock_timestamp() + ${ttlMs}::double precision * interval '1 millisecond'
    from mine
    where lanes.lane = mine.lane
    returning lanes.lane`.execute(database);
  return rows.map(({ lane }) => lane).sort((a, b) => a - b);
}

export async function releaseLanes(database: JournalDatabase, holder: string): Promise<void> {
  await database
    .updateTable('lanes')
    .set({ holder: null, expires_at: null })
    .where('holder', '=', holder)
    .execute();
}
