import { type RawBuilder, type Selectable, sql } from 'kysely';
import { closedOf } from './dead-letter-closing.ts';
import type { HeldDelivery } from './deliveries.ts';
import type { HeldRow } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { whenSent } from './sealing.ts';
import { storable } from './text.ts';

/**
 * What an append adds to its statement when a flow could not decide about an event of its group: the
 * hold is in the journal or the event is not.
 */
export function holding(
  held: readonly (HeldDelivery & { readonly ord: number; readonly tenant: string })[],
): RawBuilder<unknown> {
  if (held.length === 0) return sql``;
  const rows = whenSent((seal) =>
    JSON.stringify(
      held.map(({ tenant, message, ...holds }) => ({
        ...holds,
        message: seal(storable(message), { tenant, column: 'message' }),
      })),
    ),
  );
  return sql`, held as (
      insert into held_deliveries (event_seq, flow, tenant, code, message)
      select event.seq, holds.flow, entry.tenant, holds.code, holds.message
      from json_to_recordset(${rows}::json) as holds (
        ord int, flow text, code text, message text
      )
      join event using (ord)
      join entry using (ord)
      where event.fresh
      order by event.seq, holds.flow
    )`;
}

/** The flows that could not decide about each of these events, by the event's number in the journal. */
export async function heldOfEvents(
  database: JournalDatabase,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, readonly HeldRow[]>> {
  if (seqs.length === 0) return new Map();
  const rows = await database
    .selectFrom('held_deliveries')
    .selectAll()
    .where('event_seq', 'in', [...seqs])
    .orderBy('flow')
    .execute();
  const bySeq = new Map<number, readonly HeldRow[]>();
  for (const row of rows) {
    bySeq.set(row.event_seq, [...(bySeq.get(row.event_seq) ?? []), heldRow(row)]);
  }
  return bySeq;
}

function heldRow(row: Selectable<JournalTables['held_deliveries']>): HeldRow {
  const closed = closedOf(row);
  return {
    deadLetter: `held-${row.seq}`,
    flow: row.flow,
    code: row.code,
    message: row.message,
    heldAt: row.held_at.toISOString(),
    attempts: row.attempts,
    ...(closed !== undefined && { closed }),
  };
}
