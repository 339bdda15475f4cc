import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Voice } from '../model/protocol.ts';
import type { DeadLetter, Page, Paged } from './journal.ts';
import { invalidCursor, paged, pageLimit } from './page.ts';
import { parkRow, VOICES } from './park-row.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { settlementRow } from './settlement-row.ts';

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
  );

/** Rejections, open parks and lost settlements in one list, the latest first. */
export async function listDeadLetters(
  database: JournalDatabase,
  page: Page,
): Promise<Paged<DeadLetter>> {
  const limit = pageLimit(page);
  const before = parseCursor(page.after);
  /** One kind's part of the list, bounded by itself so that its index gives no more rows than needed. */
  const part = (kind: DeadLetter['kind'], at: string, from: RawBuilder<unknown>) => {
    const time = sql.ref(at);
    const unread =
      before === undefined
        ? sql`true`
        : sql`${time} <= ${timeOf(before)}
            and (${time}, ${sql.lit(kind)}, seq) < (${timeOf(before)}, ${before.kind}, ${before.seq}::bigint)`;
    return sql`(
      select ${time} as at, ${sql.lit(kind)}::text as kind, seq, row_to_json(letter) as row
      from (${from}) as letter
      where ${unread}
      order by ${time} desc, seq desc
      limit ${limit + 1}::int
    )`;
  };
  const { rows } = await sql<DeadLetterRow>`
    select (extract(epoch from at) * 1000000)::bigint as "atMicros", kind, seq, row
    from (
      ${part('rejected', 'received_at', sql`select * from rejections`)}
      union all
      ${part('parked', 'parked_at', OPEN_PARKS)}
      union all
      ${part('lost', 'settled_at', LOST_SETTLEMENTS)}
    ) as letters
    order by at desc, kind desc, seq desc
    limit ${limit + 1}::int`.execute(database);
  return paged(rows, limit, {
    cursor: cursorOf,
    row: deadLetter,
  });
}

const timeOf = ({ atMicros }: Place) =>
  sql`(timestamptz 'epoch' + ${atMicros}::float8 * interval '1 microsecond')`;

const OPEN_PARKS = sql`
  select parks.*, ${VOICES} as voices, runs.flow, runs.tenant
  from parks join runs on runs.run = parks.run
  where parks.decided_at is null and parks.closed_at is null`;

const LOST_SETTLEMENTS = sql`
  select settlements.*, runs.flow, runs.tenant
  from settlements join runs on runs.run = settlements.run
  where settlements.outcome = 'lost'`;

function deadLetter(letter: DeadLetterRow): DeadLetter {
  switch (letter.kind) {
    case 'rejected': {
      const { tenant, source, id, type, code, message, errors, body, count } = letter.row;
      return {
        kind: 'rejected',
        tenant,
        source,
        id,
        ...(type !== null && { type }),
        code,
        message,
        ...(errors !== null && { errors }),
        body,
        receivedAt: new Date(letter.row.received_at).toISOString(),
        count,
      };
    }
    case 'parked': {
      const { row } = letter;
      const { run, flow, tenant } = row;
      const parkedAt = new Date(row.parked_at);
      const open = { ...row, parked_at: parkedAt, decided_at: null, closed_at: null };
      return { kind: 'parked', run, flow, tenant, ...parkRow(open) };
    }
    case 'lost': {
      const { row } = letter;
      const { run, flow, tenant } = row;
      const settlement = settlementRow({ ...row, settled_at: new Date(row.settled_at) });
      return { kind: 'lost', run, flow, tenant, ...settlement };
    }
    default:
      return letter satisfies never;
  }
}

const CURSOR = /^(\d{1,16})-(rejected|parked|lost)-(\d{1,15})$/;

const cursorOf = ({ atMicros, kind, seq }: Place): string => `${atMicros}-${kind}-${seq}`;

function parseCursor(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const match = CURSOR.exec(cursor);
  const atMicros = Number(match?.[1]);
  if (match === null || !Number.isSafeInteger(atMicros)) throw invalidCursor();
  return { atMicros, kind: match[2] as Place['kind'], seq: Number(match[3]) };
}
