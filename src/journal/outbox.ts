import type { RunId } from '../model/run.ts';
import type { OutboxEntry, Page, Paged } from './journal.ts';
import { numberCursor, paged, pageLimit } from './page.ts';
import type { JournalDatabase } from './schema.ts';
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
      input: JSON.stringify(input ?? null),
    })
    .onConflict((conflict) => conflict.column('idempotency_key').doNothing())
    .returning('seq')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** The latest entries first. */
export async function listOutbox(
  database: JournalDatabase,
  filter: { readonly run?: string },
  page: Page,
): Promise<Paged<OutboxEntry & { readonly recordedAt: string }>> {
  const { run } = filter;
  if (run !== undefined && !isStorable(run)) return { rows: [] };
  const limit = pageLimit(page);
  const before = numberCursor(page);
  const rows = await database
    .selectFrom('outbox')
    .selectAll()
    .$if(run !== undefined, (query) => query.where('run', '=', run as RunId))
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
