import { sql } from 'kysely';
import { LANES, type LaneLease } from './journal.ts';
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

/**
 * Renews the holder's lanes and takes free or expired ones up to its share, by the database's clock.
 * What it holds above its share stays its own until it releases it: calls may be in flight.
 */
export async function leaseLanes(
  database: JournalDatabase,
  holder: string,
  ttlMs: number,
): Promise<LaneLease> {
  const expiresAt = sql`clock_timestamp() + ${ttlMs}::double precision * interval '1 millisecond'`;
  await sql`
    insert into dispatchers (holder, expires_at) values (${holder}, ${expiresAt})
    on conflict (holder) do update set expires_at = excluded.expires_at`.execute(database);
  await sql`delete from dispatchers where expires_at < clock_timestamp()`.execute(database);
  const { rows } = await sql<{ lane: number | null; share: number }>`
    with live as (
      select greatest(1, count(*)) as dispatchers from dispatchers
    ), share as (
      select ceil(${LANES}::numeric / dispatchers)::int as lanes from live
    ), mine as (
      select lane from lanes where holder = ${holder} for update
    ), free as (
      select lane from lanes
      where holder is null or (holder <> ${holder} and expires_at < clock_timestamp())
      order by lane
      limit greatest(0, (select lanes from share) - (select count(*) from mine))
      for update
    ), leased as (
      update lanes set holder = ${holder}, expires_at = ${expiresAt}
      from (select lane from mine union all select lane from free) as held
      where lanes.lane = held.lane
      returning lanes.lane
    )
    -- A row even when it holds none.
    select leased.lane, share.lanes as share from share left join leased on true
    order by leased.lane`.execute(database);
  return {
    lanes: rows.flatMap(({ lane }) => (lane === null ? [] : [lane])),
    share: rows[0]?.share ?? LANES,
  };
}

/** Gives lanes back: those named, or all of a holder that ends. */
export async function releaseLanes(
  database: JournalDatabase,
  holder: string,
  lanes?: readonly number[],
): Promise<void> {
  let released = database
    .updateTable('lanes')
    .set({ holder: null, expires_at: null })
    .where('holder', '=', holder);
  if (lanes !== undefined) released = released.where('lane', 'in', [...lanes]);
  if (lanes === undefined) {
    await database.deleteFrom('dispatchers').where('holder', '=', holder).execute();
  }
  await released.execute();
}
