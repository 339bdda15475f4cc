import { sql } from 'kysely';
import type { TidegateEvent } from '../model/event.ts';
import type { RunId } from '../model/run.ts';
import { KNOWN_COLUMNS, type KnownRow, withData } from './event-data.ts';
import type { JournalDatabase } from './schema.ts';
import { isStorable } from './text.ts';

/** What an event is known by within its tenant. */
export type EventName = Pick<TidegateEvent, 'source' | 'id'>;

/** What the journal has of an event's data. */
export type KeptData =
  | { readonly status: 'kept'; readonly data: unknown }
  | { readonly status: 'erased' }
  | { readonly status: 'unknown' };

/** Whose events are meant: a tenant's, of which those that a run was given, where one is named. */
export interface DataOwner {
  readonly tenant: string;
  readonly run?: RunId;
}

/** The data of events of one owner, in the order in which they are named. */
export async function dataOfEvents(
  database: JournalDatabase,
  { tenant, run }: DataOwner,
  names: readonly EventName[],
): Promise<readonly KeptData[]> {
  const found: KeptData[] = names.map(() => ({ status: 'unknown' }));
  const wanted = names
    .map(({ source, id }, ord) => ({ ord, source, id }))
    .filter(({ source, id }) => isStorable(source) && isStorable(id));
  if (wanted.length === 0 || !isStorable(tenant)) return found;
  const { rows } = await sql<KnownRow & { readonly ord: number }>`
    select wanted.ord, ${sql.join(KNOWN_COLUMNS.map((column) => sql.ref(`events.${column}`)))}
    from json_to_recordset(${JSON.stringify(wanted)}::json)
      as wanted (ord integer, source text, id text)
    join events on events.tenant = ${tenant}
      and events.source = wanted.source and events.id = wanted.id
    where ${run === undefined ? sql`true` : isGivenTo(run)}`.execute(database);
  const events = await withData(database, rows);
  for (const { ord, seq, erased_at: erasedAt } of rows) {
    found[ord] =
      erasedAt === null ? { status: 'kept', data: events.get(seq)?.data } : { status: 'erased' };
  }
  return found;
}

const isGivenTo = (run: RunId) => sql`exists (
      select from deliveries where deliveries.run = ${run} and deliveries.event_seq = events.seq
    )`;
