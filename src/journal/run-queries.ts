import { type Selectable, sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import { pendingRun } from './dispatch-queries.ts';
import type { Journal } from './journal.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import { PARK_COLUMNS, parkRow } from './park-row.ts';
import type { Page, Paged, ParkRow, RunRow, SettlementRow } from './rows.ts';
import type { JournalDatabase, JournalTables } from './schema.ts';
import { SETTLEMENT_COLUMNS, settlementRow } from './settlement-row.ts';
import { isStorable } from './text.ts';

type RunFilter = Parameters<Journal['listRuns']>[0];
type RunColumns = Selectable<JournalTables['runs']>;

/** The newest runs first: in the order in which the journal first heard of them, which is stable. */
export async function listRuns(
  database: JournalDatabase,
  filter: RunFilter,
  page: Page,
): Promise<Paged<RunRow>> {
  const { tenant, flow, status } = filter;
  const wanted = Object.entries({ tenant, flow, status }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  if (!wanted.every(([, value]) => isStorable(value))) return { rows: [] };

  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('runs')
    .selectAll()
    .where((where) =>
      where.and(wanted.map(([column, value]) => where(sql.ref<string>(column), '=', value))),
    )
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute();
  const details = await detailsOf(database, rows.slice(0, limit));
  return paged(rows, limit, {
    cursor: ({ seq }) => String(seq),
    row: (row) => runRow(row, details),
  });
}

export async function findRun(database: JournalDatabase, run: RunId): Promise<RunRow | undefined> {
  if (!isStorable(run)) return undefined;
  const row = await database
    .selectFrom('runs')
    .selectAll()
    .where('run', '=', run)
    .executeTakeFirst();
  return row === undefined ? undefined : runRow(row, await detailsOf(database, [row]));
}

interface RunDetails {
  readonly parks: ReadonlyMap<RunId, ParkRow>;
  readonly settlements: ReadonlyMap<RunId, readonly SettlementRow[]>;
}

async function detailsOf(
  database: JournalDatabase,
  rows: readonly RunColumns[],
): Promise<RunDetails> {
  const runs = rows.map(({ run }) => run);
  if (runs.length === 0) return { parks: new Map(), settlements: new Map() };
  const [parks, settlements] = await Promise.all([
    latestParks(database, runs),
    latestSettlements(database, runs),
  ]);
  return { parks, settlements };
}

/** Of each run, the park that has waited for a person the longest, else its last one. */
async function latestParks(
  database: JournalDatabase,
  runs: readonly RunId[],
): Promise<ReadonlyMap<RunId, ParkRow>> {
  const rows = await database
    .selectFrom('parks')
    .distinctOn('run')
    .select('run')
    .select(PARK_COLUMNS)
    .where('run', 'in', [...runs])
    .orderBy('run')
    .orderBy(sql`decided_at is null and closed_at is null`, 'desc')
    .orderBy(sql`case when decided_at is null and closed_at is null then seq else -seq end`)
    .execute();
  return new Map(rows.map((row) => [row.run, parkRow(row)]));
}

async function latestSettlements(
  database: JournalDatabase,
  runs: readonly RunId[],
): Promise<ReadonlyMap<RunId, readonly SettlementRow[]>> {
  const rows = await database
    .selectFrom('runs')
    .innerJoinLateral(
      (from) =>
        from
          .selectFrom('settlements')
          .select(SETTLEMENT_COLUMNS)
          .whereRef('settlements.run', '=', 'runs.run')
          .orderBy('settlements.from_number', 'desc')
          .limit(LIMITS.runSettlementsMax)
          .as('settlement'),
      (join) => join.onTrue(),
    )
    .select('runs.run')
    .selectAll('settlement')
    .where('runs.run', 'in', [...runs])
    .orderBy('runs.run')
    .orderBy('settlement.from_number')
    .execute();
  const found = new Map<RunId, SettlementRow[]>();
  for (const row of rows) {
    found.set(row.run, [...(found.get(row.run) ?? []), settlementRow(row)]);
  }
  return found;
}

function runRow(row: RunColumns, { parks, settlements }: RunDetails): RunRow {
  const park = parks.get(row.run);
  return {
    ...pendingRun(row),
    status: row.status,
    ...(row.workflow_run_id !== null && { workflowRunId: row.workflow_run_id }),
    ...(row.opened_at !== null && { openedAt: row.opened_at.toISOString() }),
    updatedAt: row.updated_at.toISOString(),
    ...(row.dispatch_error !== null && { dispatchError: row.dispatch_error }),
    ...(row.fused_at !== null && { fuseTrippedAt: row.fused_at.toISOString() }),
    ...(row.undeliverable_since !== null && {
      undeliverableSince: row.undeliverable_since.toISOString(),
    }),
    ...(row.waits_since !== null && {
      waitsForSlot: {
        since: row.waits_since.toISOString(),
        ...(row.throttle_key && { throttle: row.throttle_key }),
        ...(row.concurrency_key && { concurrency: row.concurrency_key }),
      },
    }),
    ...(park !== undefined && { park }),
    settlements: settlements.get(row.run) ?? [],
  };
}
