import type { Selectable } from 'kysely';
import type { ParkRow } from './journal.ts';
import type { JournalTables } from './schema.ts';

type ParkColumns = Pick<
  Selectable<JournalTables['parks']>,
  'park_id' | 'step' | 'error_class' | 'reason' | 'parked_at' | 'decision' | 'decided_at'
>;

/** The columns of a park that {@link parkRow} needs. */
export const PARK_COLUMNS = [
  'parks.park_id',
  'parks.step',
  'parks.error_class',
  'parks.reason',
  'parks.parked_at',
  'parks.decision',
  'parks.decided_at',
] as const;

export const parkRow = (row: ParkColumns): ParkRow => ({
  parkId: row.park_id,
  step: row.step,
  errorClass: row.error_class,
  reason: row.reason,
  parkedAt: row.parked_at.toISOString(),
  ...(row.decision !== null && { decision: row.decision }),
  ...(row.decided_at !== null && { decidedAt: row.decided_at.toISOString() }),
});
