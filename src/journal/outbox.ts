import { sql } from 'kysely';
import type { RunId } from '../model/run.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import type { OutboxEntry, Page, Paged } from './rows.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedJson, tenantOf } from './sealing.ts';
import { isStorable } from './text.ts';

export async function recordOutbox(
  database: JournalDatabase,
  entry: OutboxEntry,
): Promise<boolean> {
  const { idempotencyKey, connector, operation, run, input } = entry;
  const inserted = await database
    .insertInto('outbox')
    .values({
      idempotency_key: idempotencyKey,
      connector,
      operation,
      run,
      input: sealedJson(input ?? null, { tenant: tenantOf(run), column: 'input' }),
    })
    .onConflict((conflict) => conflict.column('idempotency_key').doNothing())
    .returning('seq')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** The latest entries first. */
export async function listOutbox(
  database: JournalDatabase,
  filter: { readonly run?: string; readonly tenant?: string },
  page: Page,
): Promise<Paged<OutboxEntry & { readonly recordedAt: string }>> {
  const { run, tenant } = filter;
  if (!isStorable(run ?? '') || !isStorable(tenant ?? '')) return { rows: [] };
  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('outbox')
    .selectAll()
    .$if(run !== undefined, (query) => query.where('run', '=', run as RunId))
    // Of a run's id the flow's name and the tenant have no colon.
    .$if(tenant !== undefined, (query) => query.where(sql`split_part(run, ':', 2)`, '=', tenant))
    .$if(before !== undefined, (query) => query.where('seq', '<', before ?? 0))
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute();
  return paged(rows, limit, {
    cursor: ({ seq }) => String(seq),
    row: (row) => ({
      idempotencyKey: row.idempotency_key,
      connector: row.connector,
      operation: row.operation,
      run: row.run,
      input: row.input,
      recordedAt: row.recorded_at.toISOString(),
    }),
  });
}
