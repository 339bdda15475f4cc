import { type RawBuilder, sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import type { RunId } from '../model/run.ts';
import { numbering } from './append-statement.ts';
import { recordAudit } from './audit.ts';
import type { AuditEntry } from './audit-log.ts';
import { findDeadLetter, tableOf } from './dead-letter-queries.ts';
import type { Act, DeadLetterName, Redelivery } from './dead-letters.ts';
import type { HeldDelivery, LimitKeys, NumberedDelivery, RoutedDelivery } from './deliveries.ts';
import { runLane } from './lanes.ts';
import type { Closing } from './rows.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedText } from './sealing.ts';
import { storable } from './text.ts';
import { passOver, sendAgain } from './undeliverable.ts';

/**
 * Deliveries that a person asks for. Each act is one transaction: closing the dead letter, numbering
 * the new deliveries and the audit entry happen together or not at all. Whoever closes a dead letter
 * is the one who may deliver it, so that two requests at once deliver once.
 */
export const redeliveryOf = (database: JournalDatabase): Redelivery => ({
  find: (name) => findDeadLetter(database, name),
  discard: (name, act) => discard(database, name, act),
  decideHeld: (number, verdict, act) => decideHeld(database, number, verdict, act),
  redeliverLost: (number, limitKeys, act) => redeliverLost(database, number, limitKeys, act),
  retryUndeliverable: (number, limitKeys, act) =>
    retryUndeliverable(database, number, limitKeys, act),
  noteRetried: (number, actor) => noteRetried(database, number, actor),
  deliverEvent: (event, targets, act) => deliverEvent(database, event, targets, act),
});

function discard(database: JournalDatabase, name: DeadLetterName, act: Act): Promise<boolean> {
  return database.transaction().execute(async (transaction) => {
    const closed = await close(transaction, name, 'discarded', act.actor);
    if (closed === undefined) return false;
    await recordAudit(transaction, entryOf('dead_letter.discard', name, closed, act));
    if (name.kind === 'undeliverable') {
      const { run, number } = await undeliverableOf(transaction, name.number);
      await passOver(transaction, run, number);
    }
    return true;
  });
}

function decideHeld(
  database: JournalDatabase,
  number: number,
  verdict: RoutedDelivery | 'filtered' | HeldDelivery,
  act: Act,
): Promise<readonly NumberedDelivery[] | undefined> {
  const name = { kind: 'held', number } as const;
  return database.transaction().execute(async (transaction) => {
    const event = await lockHeldEvent(transaction, number);
    if (event === undefined) return undefined;
    if (verdict !== 'filtered' && 'code' in verdict) {
      const kept = await holdAgain(transaction, number, event.tenant, verdict);
      if (kept === undefined) return undefined;
      await recordAudit(transaction, entryOf('dead_letter.retry', name, kept, act, 'held'));
      return [];
    }
    const how = verdict === 'filtered' ? 'filtered' : 'delivered';
    const closed = await close(transaction, name, how, act.actor);
    if (closed === undefined) return undefined;
    await recordAudit(transaction, entryOf('dead_letter.retry', name, closed, act, how));
    return verdict === 'filtered' ? [] : deliver(transaction, event.seq, [verdict]);
  });
}

/** The order of locks is event, dead letter, runs: whoever delivers an event to more flows waits here. */
async function lockHeldEvent(
  database: JournalDatabase,
  number: number,
): Promise<{ readonly seq: number; readonly tenant: string } | undefined> {
  return database
    .selectFrom('held_deliveries')
    .innerJoin('events', 'events.seq', 'held_deliveries.event_seq')
    .select(['events.seq', 'events.tenant'])
    .where('held_deliveries.seq', '=', number)
    .forUpdate('events')
    .executeTakeFirst();
}

async function holdAgain(
  database: JournalDatabase,
  number: number,
  tenant: string,
  { code, message }: HeldDelivery,
): Promise<ClosedRow | undefined> {
  return database
    .updateTable('held_deliveries')
    .set({
      code,
      message: sealedText(storable(message), { tenant, column: 'message' }),
      attempts: sql<number>`attempts + 1`,
    })
    .where('seq', '=', number)
    .where('closed_at', 'is', null)
    .returning('tenant')
    .executeTakeFirst();
}

function redeliverLost(
  database: JournalDatabase,
  number: number,
  limitKeys: LimitKeys | undefined,
  act: Act,
): Promise<readonly NumberedDelivery[] | undefined> {
  const name = { kind: 'lost', number } as const;
  return database.transaction().execute(async (transaction) => {
    const closed = await close(transaction, name, 'retried', act.actor);
    if (closed === undefined) return undefined;
    await recordAudit(transaction, entryOf('dead_letter.retry', name, closed, act, 'retried'));
    return numberAgain(
      transaction,
      sql`
        select row_number() over (order by deliveries.number)::int as target, deliveries.event_seq as seq,
          runs.run, runs.flow, runs.tenant, runs.key, runs.lane,
          ${limitKeys === undefined ? null : (limitKeys.concurrency ?? '')}::text as concurrency_key,
          ${limitKeys === undefined ? null : (limitKeys.throttle ?? '')}::text as throttle_key
        from settlements
        join runs on runs.run = settlements.run
        join deliveries on deliveries.run = settlements.run
          and deliveries.number between settlements.from_number and settlements.through_number
        where settlements.seq = ${number}::bigint and settlements.outcome = 'lost'
          -- It has a dead letter of its own, or had.
          and not exists (
            select from undeliverable
            where undeliverable.run = deliveries.run and undeliverable.number = deliveries.number
              and undeliverable.passed_over
          )`,
      limitKeys !== undefined,
    );
  });
}

function retryUndeliverable(
  database: JournalDatabase,
  number: number,
  limitKeys: LimitKeys | undefined,
  act: Act,
): Promise<readonly NumberedDelivery[] | undefined> {
  const name = { kind: 'undeliverable', number } as const;
  return database.transaction().execute(async (transaction) => {
    const closed = await close(transaction, name, 'retried', act.actor);
    if (closed === undefined) return undefined;
    await recordAudit(transaction, entryOf('dead_letter.retry', name, closed, act, 'retried'));
    const aside = await undeliverableOf(transaction, number);
    if (!aside.passed_over) return sendAgain(transaction, aside.run, aside.number);
    return numberAgain(
      transaction,
      sql`
        select 1 as target, undeliverable.event_seq as seq,
          runs.run, runs.flow, runs.tenant, runs.key, runs.lane,
          ${limitKeys === undefined ? null : (limitKeys.concurrency ?? '')}::text as concurrency_key,
          ${limitKeys === undefined ? null : (limitKeys.throttle ?? '')}::text as throttle_key
        from undeliverable join runs on runs.run = undeliverable.run
        where undeliverable.seq = ${number}::bigint`,
      limitKeys !== undefined,
    );
  });
}

const undeliverableOf = (database: JournalDatabase, seq: number) =>
  database
    .selectFrom('undeliverable')
    .select(['run', 'number', 'passed_over'])
    .where('seq', '=', seq)
    .executeTakeFirstOrThrow();

async function noteRetried(
  database: JournalDatabase,
  number: number,
  actor: string,
): Promise<void> {
  await database
    .updateTable('rejections')
    .set({ closing: 'retried', closed_by: storable(actor) })
    .where('seq', '=', number)
    .where('closing', '=', 'sent_again')
    .execute();
}

function deliverEvent(
  database: JournalDatabase,
  { tenantid, source, id }: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>,
  targets: readonly RoutedDelivery[],
  act: Act,
): Promise<readonly NumberedDelivery[]> {
  return database.transaction().execute(async (transaction) => {
    const { seq } = await transaction
      .selectFrom('events')
      .select('seq')
      .where('id', '=', id)
      .where('source', '=', source)
      .where('tenant', '=', tenantid)
      // Else it was erased since it was read, and its flows would get nothing.
      .where('erased_at', 'is', null)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const had = await flowsOf(transaction, seq);
    const wanted = targets.filter(({ flow }) => !had.has(flow));
    if (wanted.length === 0) return [];
    await closeHolds(transaction, seq, wanted, act.actor);
    await recordAudit(transaction, {
      ...act,
      action: 'event.deliver',
      target: `${source}/${id}`,
      tenant: tenantid,
      details: { flows: wanted.map(({ flow }) => flow) },
    });
    return deliver(transaction, seq, wanted);
  });
}

/** The flows that an event was delivered to, however that ended. */
async function flowsOf(database: JournalDatabase, seq: number): Promise<ReadonlySet<string>> {
  const rows = await database
    .selectFrom('deliveries')
    .innerJoin('runs', 'runs.run', 'deliveries.run')
    .select('runs.flow')
    .where('deliveries.event_seq', '=', seq)
    .execute();
  return new Set(rows.map(({ flow }) => flow));
}

async function closeHolds(
  database: JournalDatabase,
  seq: number,
  targets: readonly RoutedDelivery[],
  actor: string,
): Promise<void> {
  await database
    .updateTable('held_deliveries')
    .set({ closed_at: sql<Date>`now()`, closing: 'delivered', closed_by: storable(actor) })
    .where('event_seq', '=', seq)
    .where(
      'flow',
      'in',
      targets.map(({ flow }) => flow),
    )
    .where('closed_at', 'is', null)
    .execute();
}

interface ClosedRow {
  readonly tenant: string;
}

/** Undefined when it was closed before. */
async function close(
  database: JournalDatabase,
  { kind, number }: DeadLetterName,
  how: Closing,
  actor: string,
): Promise<ClosedRow | undefined> {
  const { rows } = await sql<ClosedRow>`
    update ${sql.table(tableOf(kind))} as letter
    set closed_at = now(), closing = ${how}, closed_by = ${storable(actor)}
    where seq = ${number}::bigint and closed_at is null
      ${kind === 'lost' ? sql`and outcome = 'lost'` : sql``}
    returning ${kind === 'lost' || kind === 'undeliverable' ? sql`(select tenant from runs where runs.run = letter.run)` : sql`tenant`} as tenant`.execute(
    database,
  );
  return rows[0];
}

const entryOf = (
  action: string,
  { kind, number }: DeadLetterName,
  { tenant }: ClosedRow,
  act: Act,
  outcome?: string,
): AuditEntry => ({
  ...act,
  action,
  target: `${kind}-${number}`,
  tenant,
  ...(outcome !== undefined && { details: { outcome } }),
});

const deliver = (
  database: JournalDatabase,
  seq: number,
  targets: readonly RoutedDelivery[],
): Promise<readonly NumberedDelivery[]> => {
  const rows = targets.map(({ flow, key, run, limitKeys }, target) => ({
    target,
    flow,
    key,
    run,
    lane: runLane(run),
    concurrency_key: limitKeys === undefined ? null : (limitKeys.concurrency ?? ''),
    throttle_key: limitKeys === undefined ? null : (limitKeys.throttle ?? ''),
  }));
  return numberAgain(
    database,
    sql`
      select target.*, events.tenant, events.seq
      from json_to_recordset(${JSON.stringify(rows)}::json) as target (
        target int, run text, flow text, key text, lane int, concurrency_key text, throttle_key text
      )
      join events on events.seq = ${seq}::bigint`,
    targets.some(({ limitKeys }) => limitKeys !== undefined),
  );
};

/** Numbers new deliveries of events that are in the journal already. */
async function numberAgain(
  database: JournalDatabase,
  again: RawBuilder<unknown>,
  areLimited: boolean,
): Promise<readonly NumberedDelivery[]> {
  const { rows } = await sql<{
    run: RunId;
    flow: string;
    key: string;
    number: number;
    waits: boolean;
  }>`
    with again as (${again}), fresh as (
      -- A person sends it: it says nothing of a runaway.
      select again.*, 0 as ord, false as made,
        row_number() over (partition by run order by target) as nth,
        count(*) over (partition by run) as of_run
      from again
    ), ${numbering(areLimited)}
    select numbered.run, fresh.flow, fresh.key, numbered.number, numbered.waits
    from numbered join fresh using (run, target)
    order by numbered.target`.execute(database);
  return rows.map(({ waits, ...delivery }) => ({ ...delivery, ...(waits && { waits: true }) }));
}
