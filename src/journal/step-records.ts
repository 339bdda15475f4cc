import { sql } from 'kysely';
import { LIMITS } from '../model/limits.ts';
import type { RecordStepInput } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import type { StepRecordRow } from './rows.ts';
import type { JournalDatabase } from './schema.ts';
import { sealedJson, tenantOf } from './sealing.ts';
import { isStorable, storable } from './text.ts';

/** Keeps what a step has done so far, in place of what it had said before. */
export async function recordStep(database: JournalDatabase, input: RecordStepInput): Promise<void> {
  const { run, window, step, kind, record } = input;
  const kept = sealedJson(record, { tenant: tenantOf(run), column: 'record' });
  await database
    .insertInto('step_records')
    .values({
      run,
      window_number: window,
      step: storable(step),
      kind,
      record: kept,
    })
    .onConflict((conflict) =>
      conflict.columns(['run', 'window_number', 'step']).doUpdateSet({
        record: kept,
        updated_at: sql<Date>`now()`,
      }),
    )
    .execute();
}

/** The records of a run's newest window that has any, in the order in which the steps began. */
export async function stepRecords(
  database: JournalDatabase,
  run: RunId,
): Promise<readonly StepRecordRow[]> {
  if (!isStorable(run)) return [];
  const rows = await database
    .selectFrom('step_records')
    .selectAll()
    .where('run', '=', run)
    .where('window_number', '=', (newest) =>
      newest
        .selectFrom('step_records')
        .select(({ fn }) => fn.max<number>('window_number').as('window_number'))
        .where('run', '=', run),
    )
    .orderBy('seq')
    .limit(LIMITS.runRecordsMax)
    .execute();
  return rows.map((row) => ({
    window: row.window_number,
    step: row.step,
    kind: row.kind,
    record: row.record,
    updatedAt: row.updated_at.toISOString(),
  }));
}
