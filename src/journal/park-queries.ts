import type { Question } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import { PARK_COLUMNS, parkRow } from './park-row.ts';
import type { ParkRow } from './rows.ts';
import type { JournalDatabase } from './schema.ts';
import { isStorable } from './text.ts';

export async function findPark(
  database: JournalDatabase,
  run: RunId,
  parkId: string,
): Promise<ParkRow | undefined> {
  if (!isStorable(run) || !isStorable(parkId)) return undefined;
  const row = await database
    .selectFrom('parks')
    .select(PARK_COLUMNS)
    .where('run', '=', run)
    .where('park_id', '=', parkId)
    .executeTakeFirst();
  return row === undefined ? undefined : parkRow(row);
}

export async function findQuestion(
  database: JournalDatabase,
  run: RunId,
  parkId: string,
): Promise<Question | undefined> {
  if (!isStorable(run) || !isStorable(parkId)) return undefined;
  const row = await database
    .selectFrom('parks')
    .select('question')
    .where('run', '=', run)
    .where('park_id', '=', parkId)
    .executeTakeFirst();
  return row?.question ?? undefined;
}
