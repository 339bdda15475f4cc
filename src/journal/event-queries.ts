import { type Selectable, sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import { KNOWN_COLUMNS, withData } from './event-data.ts';
import { deliveryRowsOfEvents } from './event-deliveries.ts';
import { heldOfEvents } from './held-deliveries.ts';
import type { Journal } from './journal.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import type { DeliveryRow, EventRow, HeldRow, Page, Paged } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { isStorable } from './text.ts';

/** Events that `findEvents` gives at most: one id from that many sources. */
const SAME_ID_MAX = 100;

type EventFilter = Parameters<Journal['listEvents']>[0];

const EVENT_COLUMNS = [...KNOWN_COLUMNS, 'status', 'reason', 'duplicates'] as const;
type EventColumns = Pick<Selectable<JournalTables['events']>, (typeof EVENT_COLUMNS)[number]>;

/** The latest events first. */
export async function listEvents(
  database: JournalDatabase,
  filter: EventFilter,
  page: Page,
): Promise<Paged<EventRow>> {
  const { tenant, type, source, status, correlationId } = filter;
  const wanted = Object.entries({
    tenant,
    type,
    source,
    status,
    correlation_id: correlationId,
  }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  if (!wanted.every(([, value]) => isStorable(value))) return { rows: [] };

  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('events')
    .select(EVENT_COLUMNS)
    .where((where) =>
      where.and(wanted.map(([column, value]) => where(sql.ref<string>(column), '=', value))),
    )
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute();
  const fates = await fatesOf(database, rows.slice(0, limit));
  return paged(rows, limit, {
    cursor: ({ seq }) => String(seq),
    row: (row) => eventRow(row, fates),
  });
}

export async function findEvents(
  database: JournalDatabase,
  tenant: string | undefined,
  id: string,
): Promise<readonly EventRow[]> {
  if (!isStorable(id) || !isStorable(tenant ?? '')) return [];
  const rows = await database
    .selectFrom('events')
    .select(EVENT_COLUMNS)
    .where('id', '=', id)
    .$if(tenant !== undefined, (query) => query.where('tenant', '=', tenant ?? ''))
    .orderBy('seq')
    .limit(SAME_ID_MAX)
    .execute();
  const fates = await fatesOf(database, rows);
  return rows.map((row) => eventRow(row, fates));
}

/** What is in events and what became of them, by their number in the journal. */
interface Fates {
  readonly events: ReadonlyMap<number, TidegateEvent>;
  readonly deliveries: ReadonlyMap<number, readonly DeliveryRow[]>;
  readonly held: ReadonlyMap<number, readonly HeldRow[]>;
}

async function fatesOf(database: JournalDatabase, rows: readonly EventColumns[]): Promise<Fates> {
  const seqs = rows.map(({ seq }) => seq);
  return {
    events: await withData(database, rows),
    deliveries: await deliveryRowsOfEvents(database, seqs),
    held: await heldOfEvents(database, seqs),
  };
}

function eventRow(row: EventColumns, fates: Fates): EventRow {
  const held = fates.held.get(row.seq);
  return {
    // It was just read by the same rows.
    event: fates.events.get(row.seq) as TidegateEvent,
    status: row.status,
    ...(row.reason !== null && { reason: row.reason }),
    receivedAt: row.received_at.toISOString(),
    duplicates: row.duplicates,
    ...(row.erased_at !== null && { erasedAt: row.erased_at.toISOString() }),
    deliveries: fates.deliveries.get(row.seq) ?? [],
    ...(held !== undefined && { held }),
  };
}
