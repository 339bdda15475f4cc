import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Voice } from '../model/protocol.ts';
import { closedOf } from './dead-letter-closing.ts';
import type { DeadLetter, DeadLetterName, FoundDeadLetter } from './dead-letters.ts';
import { eventsBySeq } from './event-data.ts';
import { ALL_FUSE_TRIPS, type FuseTripRow, fuseTrip } from './fuse-row.ts';
import type { Journal } from './journal.ts';
import { invalidCursor, paged, pageLimit } from './page.ts';
import { parkRow, VOICES } from './park-row.ts';
import type { Page, Paged } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { settlementRow } from './settlement-row.ts';
import { isStorable } from './text.ts';
import { ALL_UNDELIVERABLE, refusedDelivery, type UndeliverableRow } from './undeliverable-row.ts';

/** Where a dead letter stands in the list: by time since 1970, then kind, then number. */
interface Place {
  readonly atMicros: number;
  readonly kind: DeadLetter['kind'];
  readonly seq: number;
}

/** A row as `row_to_json` gives it: times are text. */
type AsJson<Row> = {
  readonly [Column in keyof Row]: Row[Column] extends Date ? string : Row[Column];
};
type RunColumns = Pick<Selectable<JournalTables['runs']>, 'run' | 'flow' | 'tenant'>;
type DeadLetterRow = Place &
  (
    | { readonly kind: 'rejected'; readonly row: AsJson<Selectable<JournalTables['rejections']>> }
    | {
        readonly kind: 'parked';
        readonly row: RunColumns &
          AsJson<Selectable<JournalTables['parks']>> & { readonly voices: readonly Voice[] };
      }
    | {
        readonly kind: 'lost';
        readonly row: RunColumns & AsJson<Selectable<JournalTables['settlements']>>;
      }
    | {
        readonly kind: 'held';
        readonly row: AsJson<Selectable<JournalTables['held_deliveries']>> &
          Pick<Selectable<JournalTables['events']>, 'id' | 'source' | 'type' | 'correlation_id'>;
      }
    | { readonly kind: 'fused'; readonly row: AsJson<FuseTripRow> }
    | { readonly kind: 'undeliverable'; readonly row: AsJson<UndeliverableRow> }
  );

/** Where the rows of each kind are, and by which time they are listed. */
const KINDS = {
  rejected: { table: 'rejections', at: 'received_at' },
  parked: { table: 'parks', at: 'parked_at' },
  lost: { table: 'settlements', at: 'settled_at' },
  held: { table: 'held_deliveries', at: 'held_at' },
  fused: { table: 'fuse_trips', at: 'tripped_at' },
  undeliverable: { table: 'undeliverable', at: 'set_aside_at' },
} as const;

/** The table that has the dead letters of a kind. */
export const tableOf = (kind: DeadLetter['kind']) => KINDS[kind].table;

/** Whatever waits for a person in one list, the latest first. */
export async function listDeadLetters(
  database: JournalDatabase,
  page: Page,
  filter: NonNullable<Parameters<Journal['listDeadLetters']>[1]> = {},
): Promise<Paged<DeadLetter>> {
  const { kind: wanted, tenant, flow } = filter;
  if (![tenant, flow].every((value) => isStorable(value ?? ''))) return { rows: [] };

  const limit = pageLimit(page);
  const before = parseCursor(page.after);
  /** One kind's part of the list, bounded by itself so that its index gives no more rows than needed. */
  const part = (kind: DeadLetter['kind']) => {
    const time = sql.ref(KINDS[kind].at);
    const unread =
      before === undefined
        ? sql`true`
        : sql`${time} <= ${timeOf(before)}
            and (${time}, ${sql.lit(kind)}, seq) < (${timeOf(before)}, ${before.kind}, ${before.seq}::bigint)`;
    return sql`(
      select ${time} as at, ${sql.lit(kind)}::text as kind, seq, row_to_json(letter) as row
      from (${OPEN[kind]}) as letter
      where ${unread}
        and ${tenant === undefined ? sql`true` : sql`tenant = ${tenant}`}
        and ${flow === undefined ? sql`true` : sql`flow = ${flow}`}
      order by ${time} desc, seq desc
      limit ${limit + 1}::int
    )`;
  };
  const kinds = (Object.keys(KINDS) as DeadLetter['kind'][]).filter(
    (kind) =>
      (wanted === undefined || kind === wanted) && (flow === undefined || kind !== 'rejected'),
  );
  if (kinds.length === 0) return { rows: [] };
  const { rows } = await sql<DeadLetterRow>`
    select (extract(epoch from at) * 1000000)::bigint as "atMicros", kind, seq, row
    from (${sql.join(kinds.map(part), sql` union all `)}) as letters
    order by at desc, kind desc, seq desc
    limit ${limit + 1}::int`.execute(database);
  return paged(rows, limit, {
    cursor: cursorOf,
    row: deadLetter,
  });
}

const timeOf = ({ atMicros }: Place) =>
  sql`(timestamptz 'epoch' + ${atMicros}::float8 * interval '1 microsecond')`;

/** All rows of each kind, open or not. */
const ALL: Readonly<Record<DeadLetter['kind'], RawBuilder<unknown>>> = {
  rejected: sql`select * from rejections where true`,
  parked: sql`
    select parks.*, ${VOICES} as voices, runs.flow, runs.tenant
    from parks join runs on runs.run = parks.run
    where true`,
  lost: sql`
    select settlements.*, runs.flow, runs.tenant
    from settlements join runs on runs.run = settlements.run
    where settlements.outcome = 'lost'`,
  held: sql`
    select held_deliveries.*, events.id, events.source, events.type, events.correlation_id
    from held_deliveries join events on events.seq = held_deliveries.event_seq
    where true`,
  fused: ALL_FUSE_TRIPS,
  undeliverable: ALL_UNDELIVERABLE,
};

/** Of each kind, those that wait for a person. */
const OPEN: typeof ALL = {
  rejected: sql`${ALL.rejected} and rejections.closed_at is null`,
  parked: sql`${ALL.parked} and parks.decided_at is null and parks.closed_at is null`,
  lost: sql`${ALL.lost} and settlements.closed_at is null`,
  held: sql`${ALL.held} and held_deliveries.closed_at is null`,
  fused: sql`${ALL.fused} and fuse_trips.closed_at is null`,
  undeliverable: sql`${ALL.undeliverable} and undeliverable.closed_at is null`,
};

/** A dead letter by its name, closed or not. */
export async function findDeadLetter(
  database: JournalDatabase,
  { kind, number }: DeadLetterName,
): Promise<FoundDeadLetter | undefined> {
  const seq = sql.ref(`${tableOf(kind)}.seq`);
  const { rows } = await sql<DeadLetterRow>`
    select ${sql.lit(kind)}::text as kind, seq, row_to_json(letter) as row
    from (${ALL[kind]} and ${seq} = ${number}::bigint) as letter`.execute(database);
  const [row] = rows;
  if (row === undefined) return undefined;
  const letter = deadLetter(row);
  const closed = closedLetter(row);
  const event = await eventOf(database, row);
  return { letter, ...(closed !== undefined && { closed }), ...(event !== undefined && { event }) };
}

function closedLetter(letter: DeadLetterRow): FoundDeadLetter['closed'] {
  if (letter.kind !== 'parked') return closedOf(letter.row);
  const { decided_at, closed_at, decision } = letter.row;
  const at = decided_at ?? closed_at;
  if (at === null) return undefined;
  return {
    at: new Date(at).toISOString(),
    how: 'decided',
    ...(decision !== null && { by: decision.actor }),
  };
}

async function eventOf(
  database: JournalDatabase,
  letter: DeadLetterRow,
): Promise<FoundDeadLetter['event']> {
  const seq = await eventSeqOf(database, letter);
  return seq === undefined ? undefined : (await eventsBySeq(database, [seq])).get(seq);
}

async function eventSeqOf(
  database: JournalDatabase,
  letter: DeadLetterRow,
): Promise<number | undefined> {
  switch (letter.kind) {
    case 'held':
    case 'undeliverable':
      return letter.row.event_seq;
    case 'lost':
      return firstOf(database, letter.row);
    case 'rejected':
    case 'parked':
    case 'fused':
      return undefined;
    default:
      return letter satisfies never;
  }
}

/** The event of the first delivery that a settlement is about. */
async function firstOf(
  database: JournalDatabase,
  {
    run,
    from_number: number,
  }: Pick<Selectable<JournalTables['settlements']>, 'run' | 'from_number'>,
): Promise<number | undefined> {
  const found = await database
    .selectFrom('deliveries')
    .select('event_seq')
    .where('run', '=', run)
    .where('number', '=', number)
    .executeTakeFirst();
  return found?.event_seq;
}

function deadLetter(letter: DeadLetterRow): DeadLetter {
  const name = `${letter.kind}-${letter.seq}`;
  switch (letter.kind) {
    case 'rejected': {
      const { tenant, source, id, type, code, message, errors, body, count } = letter.row;
      return {
        deadLetter: name,
        kind: 'rejected',
        tenant,
        source,
        id,
        ...(type !== null && { type }),
        code,
        message,
        ...(errors !== null && { errors }),
        body,
        ...(letter.row.is_ours && { isOurs: true as const }),
        receivedAt: new Date(letter.row.received_at).toISOString(),
        count,
      };
    }
    case 'parked': {
      const { row } = letter;
      const { run, flow, tenant } = row;
      const parkedAt = new Date(row.parked_at);
      const open = { ...row, parked_at: parkedAt, decided_at: null, closed_at: null };
      return { deadLetter: name, kind: 'parked', run, flow, tenant, ...parkRow(open) };
    }
    case 'lost': {
      const { row } = letter;
      const { run, flow, tenant } = row;
      const settlement = settlementRow({ ...row, settled_at: new Date(row.settled_at) });
      return { deadLetter: name, kind: 'lost', run, flow, tenant, ...settlement };
    }
    case 'held': {
      const { tenant, flow, code, message, attempts } = letter.row;
      const { id, source, type, correlation_id: correlationid } = letter.row;
      return {
        deadLetter: name,
        kind: 'held',
        tenant,
        flow,
        code,
        message,
        attempts,
        event: { id, source, type, correlationid },
        heldAt: new Date(letter.row.held_at).toISOString(),
      };
    }
    case 'fused':
      return { deadLetter: name, ...fuseTrip(letter.row) };
    case 'undeliverable':
      return { deadLetter: name, ...refusedDelivery(letter.row) };
    default:
      return letter satisfies never;
  }
}

const CURSOR = /^(\d{1,16})-(rejected|parked|lost|held|fused|undeliverable)-(\d{1,15})$/;

const cursorOf = ({ atMicros, kind, seq }: Place): string => `${atMicros}-${kind}-${seq}`;

function parseCursor(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const match = CURSOR.exec(cursor);
  const atMicros = Number(match?.[1]);
  if (match === null || !Number.isSafeInteger(atMicros)) throw invalidCursor();
  return { atMicros, kind: match[2] as Place['kind'], seq: Number(match[3]) };
}
