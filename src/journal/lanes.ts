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

/** Before the holder, the name of the lock that shows that a dispatcher lives. */
export const PRESENCE = 'tidegate dispatcher ';

/**
 * Renews the holder's lanes and takes free or expired ones up to its share, by the database's clock.
 * What it holds above its share stays its own until it releases it: calls may be in flight.
 *
 * The lanes of a dispatcher that was present are free as soon as its lock is: a process that is killed
 * ends its connection, long before its lease does. One that only lost its connection gets lanes again with
 * its next renewal; what both have sent by then is recognised by its numbers.
 *
 * @param standFor takes the holder's lock and notes it in its row. @default it cannot be had
 */
export async function leaseLanes(
  database: JournalDatabase,
  holder: string,
  ttlMs: number,
  standFor: () => Promise<boolean> = async () => false,
): Promise<LaneLease> {
  const expiresAt = sql`clock_timestamp() + ${ttlMs}::double precision * interval '1 millisecond'`;
  await sql`
    insert into dispatchers (holder, expires_at) values (${holder}, ${expiresAt})
    on conflict (holder) do update set expires_at = excluded.expires_at`.execute(database);
  const isPresent = await standFor();
  await sql`
    update dispatchers set is_present = ${isPresent}
    where holder = ${holder} and is_present <> ${isPresent}`.execute(database);
  await sql`
    delete from dispatchers
    where expires_at < clock_timestamp()
      or case when is_present and holder <> ${holder}
        then pg_try_advisory_xact_lock(hashtextextended(${PRESENCE}::text || holder, 0)) end`.execute(
    database,
  );
  const { rows } = await sql<{ lane: number | null; share: number }>`
    with live as (
      select greatest(1, count(*)) as dispatchers from dispatchers
    ), share as (
      select ceil(${LANES}::numeric / dispatchers)::int as lanes from live
    ), mine as (
      select lane from lanes where holder = ${holder} for update
    ), free as (
      select lane from lanes
      where holder is null
        or (holder <> ${holder} and expires_at < clock_timestamp())
        or not exists (select from dispatchers where dispatchers.holder = lanes.holder)
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
