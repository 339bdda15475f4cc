/**
 * Deliveries that Temporal refuses, however often they are sent. Such a one is set aside for a person: its
 * run is held before it, or goes on without it. Its number then is passed over: no execution ever gets it, so
 * whatever settles the delivery before it settles it too, and what it became is in its own row.
 */
import { sql } from 'kysely';
import type { RunId } from '../model/run.ts';
import type { NumberedDelivery } from './deliveries.ts';
import type { JournalDatabase } from './schema.ts';
import { receivedAfter, settle } from './settle.ts';
import { storable } from './text.ts';

export interface Undeliverable {
  readonly run: RunId;
  readonly number: number;
  /** What Temporal says. */
  readonly reason: string;
  /** Whether what comes after it waits for a person; else it is sent. */
  readonly holds: boolean;
}

/** Counts one more refusal of a delivery that was sent alone; returns how many there were. */
export async function countRefusal(
  database: JournalDatabase,
  { run, number, reason }: Pick<Undeliverable, 'run' | 'number' | 'reason'>,
): Promise<number> {
  const { rows } = await sql<{ attempts: number }>`
    update runs set
      refused_attempts = case when refused_number = ${number}::bigint then refused_attempts + 1 else 1 end,
      refused_number = ${number}::bigint,
      dispatch_error = ${storable(reason)},
      updated_at = now()
    where run = ${run}
    returning refused_attempts as attempts`.execute(database);
  return rows[0]?.attempts ?? 0;
}

/**
 * Sets a delivery aside, all before which has been sent; false when this holder has lost its lane, or it
 * was sent after all.
 */
export function setAside(
  database: JournalDatabase,
  holder: string,
  { run, number, reason, holds }: Undeliverable,
): Promise<boolean> {
  return database.transaction().execute(async (transaction) => {
    const { rows } = await sql`
      with locked as (
        select runs.run, runs.refused_attempts
        from runs join lanes on lanes.lane = runs.lane
        where runs.run = ${run} and runs.sent_through < ${number}::bigint
          and lanes.holder = ${holder}
        for update of runs
      ), aside as (
        insert into undeliverable (run, number, event_seq, reason, attempts, holds, passed_over)
        select locked.run, deliveries.number, deliveries.event_seq, ${storable(reason)},
          locked.refused_attempts, ${holds}, false
        from locked join deliveries on deliveries.run = locked.run
        where deliveries.number = ${number}::bigint
        returning run
      )
      update runs set
        undeliverable_since = now(),
        sent_through = greatest(runs.sent_through, ${number}::bigint - 1),
        pending_since = ${receivedAfter(sql.ref('runs.run'), sql`${number}::bigint - 1`)},
        refused_number = null,
        refused_attempts = 0,
        dispatch_error = ${storable(reason)},
        updated_at = now(),
        touched_at = now()
      from aside
      where runs.run = aside.run
      returning runs.run`.execute(transaction);
    if (rows.length === 0) return false;
    if (!holds) await passOver(transaction, run, number);
    return true;
  });
}

/** Lets a run go on without a delivery that was set aside, in the transaction that decides so. */
export async function passOver(
  transaction: JournalDatabase,
  run: RunId,
  number: number,
): Promise<void> {
  const { rows } = await sql<{ settled_through: number; reason: string }>`
    with aside as (
      update undeliverable set passed_over = true
      where run = ${run} and number = ${number}::bigint and not passed_over
      returning run, reason
    )
    update runs set
      undeliverable_since = null,
      passed_over_through = ${number}::bigint,
      sent_through = greatest(runs.sent_through, ${number}::bigint),
      pending_since = ${receivedAfter(sql.ref('runs.run'), sql`${number}::bigint`)},
      dispatch_error = null,
      updated_at = now(),
      touched_at = now()
    from aside
    where runs.run = aside.run
    returning runs.settled_through, aside.reason`.execute(transaction);
  const [row] = rows;
  // Else it is settled with what comes before it.
  if (row?.settled_through !== number - 1) return;
  const { reason } = row;
  await settle(transaction, { run, through: number, outcome: 'undeliverable', reason });
}

/** Sends a run again what it was held before. */
export async function sendAgain(
  transaction: JournalDatabase,
  run: RunId,
  number: number,
): Promise<readonly NumberedDelivery[]> {
  const rows = await transaction
    .updateTable('runs')
    .set({ undeliverable_since: null, dispatch_error: null, updated_at: sql<Date>`now()` })
    .where('run', '=', run)
    .returning(['run', 'flow', 'key'])
    .execute();
  return rows.map((row) => ({ ...row, number }));
}
