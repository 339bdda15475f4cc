import type { Selectable } from 'kysely';
import type { SettlementRow } from './rows.ts';
import type { JournalTables } from './schema.ts';

type SettlementColumns = Pick<
  Selectable<JournalTables['settlements']>,
  | 'from_number'
  | 'through_number'
  | 'outcome'
  | 'reason'
  | 'window'
  | 'result'
  | 'workflow_run_id'
  | 'settled_at'
>;

/** The columns of a settlement that {@link settlementRow} needs. */
export const SETTLEMENT_COLUMNS = [
  'settlements.from_number',
  'settlements.through_number',
  'settlements.outcome',
  'settlements.reason',
  'settlements.window',
  'settlements.result',
  'settlements.workflow_run_id',
  'settlements.settled_at',
] as const;

export const settlementRow = (row: SettlementColumns): SettlementRow => ({
  fromNumber: row.from_number,
  throughNumber: row.through_number,
  outcome: row.outcome,
  ...(row.reason !== null && { reason: row.reason }),
  ...(row.window !== null && { window: row.window }),
  ...(row.result !== null && { result: row.result }),
  workflowRunId: row.workflow_run_id,
  settledAt: row.settled_at.toISOString(),
});
