import { type Selectable, sql } from 'kysely';
import type { DeadLetter } from './dead-letters.ts';
import type { JournalTables } from './schema.ts';

export type UndeliverableRow = Selectable<JournalTables['undeliverable']> &
  Pick<Selectable<JournalTables['runs']>, 'flow' | 'tenant' | 'key'> &
  Pick<Selectable<JournalTables['events']>, 'id' | 'source' | 'type' | 'correlation_id'> & {
    readonly held: number;
  };

/** All deliveries that were ever set aside, with their runs and events. */
export const ALL_UNDELIVERABLE = sql`
  select undeliverable.*, runs.flow, runs.tenant, runs.key,
    events.id, events.source, events.type, events.correlation_id,
    case when undeliverable.passed_over then 0
      else runs.accepted_through - undeliverable.number end as held
  from undeliverable
  join runs on runs.run = undeliverable.run
  join events on events.seq = undeliverable.event_seq
  where true`;

type RefusedDelivery = Extract<DeadLetter, { readonly kind: 'undeliverable' }>;

/** As a dead letter; times may be text, as `row_to_json` gives them. */
export const refusedDelivery = (
  row: Omit<UndeliverableRow, 'set_aside_at' | 'closed_at'> & {
    readonly set_aside_at: Date | string;
  },
): Omit<RefusedDelivery, 'deadLetter'> => ({
  kind: 'undeliverable',
  code: 'delivery_refused',
  run: row.run,
  flow: row.flow,
  tenant: row.tenant,
  key: row.key,
  number: row.number,
  event: {
    id: row.id,
    source: row.source,
    type: row.type,
    correlationid: row.correlation_id,
  },
  setAsideAt: new Date(row.set_aside_at).toISOString(),
  attempts: row.attempts,
  reason: row.reason,
  rule: row.holds ? 'hold' : 'go-on',
  held: row.held,
});
