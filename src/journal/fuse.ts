/**
 * The fuse of a run: more deliveries of what flows made than its flow allows in a time, and nothing of
 * it is sent any more until a person says so. Deliveries are numbered and kept all the same, so that
 * they go on in order. `runs.fused_at` is what the dispatcher looks at, `fuse_trips` what people see.
 */
import { sql } from 'kysely';
import { chainText } from '../model/chain.ts';
import type { RunId } from '../model/run.ts';
import { recordAudit } from './audit.ts';
import { ancestorsOf } from './chain.ts';
import type { Act } from './dead-letters.ts';
import type { FuseCheck } from './journal.ts';
import type { JournalDatabase } from './schema.ts';
import { storable } from './text.ts';

/** Trips the fuse of each run that was given too much; gives the runs whose fuse has tripped, now or before. */
export async function tripFuses(
  database: JournalDatabase,
  checks: readonly FuseCheck[],
): Promise<ReadonlySet<RunId>> {
  const last = new Map(checks.map((check) => [check.run, check]));
  const standing = await standingOf(database, [...last.values()]);
  const over: OverFuse[] = [];
  for (const { run, fuse, event } of last.values()) {
    const { fused, count } = standing.get(run) ?? { fused: true, count: 0 };
    if (fused) continue;
    const chain = chainText([...(await ancestorsOf(database, event)), run]);
    over.push({ run, most: fuse.limit, per_ms: fuse.perMs, count, event_id: event.id, chain });
  }
  if (over.length > 0) await trip(database, over);
  return new Set(standing.keys());
}

interface Standing {
  readonly run: RunId;
  readonly fused: boolean;
  readonly count: number;
}

/** Those of the runs that have too much, or whose fuse has tripped before. */
async function standingOf(
  database: JournalDatabase,
  checks: readonly FuseCheck[],
): Promise<ReadonlyMap<RunId, Standing>> {
  if (checks.length === 0) return new Map();
  const asked = checks.map(({ run, fuse }) => ({ run, most: fuse.limit, per_ms: fuse.perMs }));
  const { rows } = await sql<Standing>`
    select * from (
      select runs.run, runs.fused_at is not null as fused, asked.most, (
        select count(*)::int
        from (
          select from deliveries
          where deliveries.run = runs.run
            and made_at > now() - asked.per_ms * interval '1 millisecond'
            and made_at > coalesce(runs.fuse_reset_at, '-infinity')
          limit asked.most + 1
        ) as made
      ) as count
      from json_to_recordset(${JSON.stringify(asked)}::json)
        as asked (run text, most int, per_ms float8)
      join runs on runs.run = asked.run
    ) as standing
    where fused or count > most`.execute(database);
  return new Map(rows.map((row) => [row.run, row]));
}

interface OverFuse {
  readonly run: RunId;
  readonly most: number;
  readonly per_ms: number;
  readonly count: number;
  readonly event_id: string;
  readonly chain: string;
}

/** Of several that see it at once, the first trips it. */
async function trip(database: JournalDatabase, over: readonly OverFuse[]): Promise<void> {
  await sql`
    with over as (
      select *
      from json_to_recordset(${JSON.stringify(over)}::json)
        as over (run text, most int, per_ms bigint, count int, event_id text, chain text)
    ), locked as (
      select runs.run
      from runs join over on over.run = runs.run
      where runs.fused_at is null
      -- The order in which an append locks them.
      order by runs.run collate "C"
      for update of runs
    ), tripped as (
      update runs set fused_at = now(), updated_at = now()
      from locked
      where runs.run = locked.run
      returning runs.run
    )
    insert into fuse_trips (run, event_id, chain, most, per_ms, count)
    select run, event_id, chain, most, per_ms, count
    from over join tripped using (run)`.execute(database);
}

/**
 * Lets a run go on whose fuse has tripped, and counts anew from now. Gives whether it had tripped: for the
 * same person who says it again, too.
 */
export async function resetFuse(
  database: JournalDatabase,
  run: RunId,
  { actor, reason }: Act,
): Promise<boolean> {
  return database.transaction().execute(async (transaction) => {
    const reset = await transaction
      .updateTable('runs')
      .set({ fused_at: null, fuse_reset_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
      .where('run', '=', run)
      .where('fused_at', 'is not', null)
      .returning('tenant')
      .executeTakeFirst();
    if (reset === undefined) return (await lastResetBy(transaction, run)) === storable(actor);
    await transaction
      .updateTable('fuse_trips')
      .set({ closed_at: sql<Date>`now()`, closing: 'resumed', closed_by: storable(actor) })
      .where('run', '=', run)
      .where('closed_at', 'is', null)
      .execute();
    const { tenant } = reset;
    await recordAudit(transaction, { actor, reason, action: 'fuse.resume', target: run, tenant });
    return true;
  });
}

async function lastResetBy(
  database: JournalDatabase,
  run: RunId,
): Promise<string | null | undefined> {
  const trip = await database
    .selectFrom('fuse_trips')
    .select('closed_by')
    .where('run', '=', run)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return trip?.closed_by;
}
