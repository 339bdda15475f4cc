import { type Selectable, sql } from 'kysely';
import type { Question, Voice } from '../model/protocol.ts';
import type { ParkRow } from './rows.ts';
import type { JournalTables } from './schema.ts';

type ParkColumns = Pick<
  Selectable<JournalTables['parks']>,
  | 'park_id'
  | 'step'
  | 'error_class'
  | 'reason'
  | 'question'
  | 'parked_at'
  | 'decision'
  | 'decided_at'
  | 'closed_at'
> & { readonly voices: readonly Voice[] };

/** What has been said about a row of `parks`, in the order in which it came. */
export const VOICES = sql<readonly Voice[]>`(
  select coalesce(
    json_agg(
      json_build_object('approver', approver, 'action', action, 'reason', reason, 'at', at, 'via', via)
      order by at, approver
    ),
    '[]'
  )
  from voices
  where voices.run = parks.run and voices.park_id = parks.park_id
)`;

/** The columns of a park that {@link parkRow} needs. */
export const PARK_COLUMNS = [
  'parks.park_id',
  'parks.step',
  'parks.error_class',
  'parks.reason',
  'parks.question',
  'parks.parked_at',
  'parks.decision',
  'parks.decided_at',
  'parks.closed_at',
  VOICES.as('voices'),
] as const;

export const parkRow = (row: ParkColumns): ParkRow => ({
  parkId: row.park_id,
  step: row.step,
  ...(row.error_class !== null && { errorClass: row.error_class }),
  reason: row.reason,
  parkedAt: row.parked_at.toISOString(),
  ...(row.question !== null && { question: shown(row.question) }),
  voices: row.voices,
  ...(row.decision !== null && { decision: row.decision }),
  ...(row.decided_at !== null && { decidedAt: row.decided_at.toISOString() }),
  ...(row.closed_at !== null && { closedAt: row.closed_at.toISOString() }),
});

function shown({ linkNonce: _, ...question }: Question): Omit<Question, 'linkNonce'> {
  return question;
}
