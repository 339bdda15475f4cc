import { type Selectable, sql } from 'kysely';
import type { DeadLetter } from './dead-letters.ts';
import type { JournalTables } from './schema.ts';

export type FuseTripRow = Selectable<JournalTables['fuse_trips']> &
  Pick<Selectable<JournalTables['runs']>, 'flow' | 'tenant' | 'key'> & { readonly held: number };

/** All fuses that ever tripped, with their runs. */
export const ALL_FUSE_TRIPS = sql`
  select fuse_trips.*, runs.flow, runs.tenant, runs.key,
    runs.accepted_through - runs.sent_through as held
  from fuse_trips join runs on runs.run = fuse_trips.run
  where true`;

type Fused = Extract<DeadLetter, { readonly kind: 'fused' }>;

/** A tripped fuse as a dead letter; times may be text, as `row_to_json` gives them. */
export const fuseTrip = (
  row: Omit<FuseTripRow, 'tripped_at' | 'closed_at'> & { readonly tripped_at: Date | string },
): Omit<Fused, 'deadLetter'> => ({
  kind: 'fused',
  code: 'fuse_tripped',
  run: row.run,
  flow: row.flow,
  tenant: row.tenant,
  key: row.key,
  trippedAt: new Date(row.tripped_at).toISOString(),
  count: row.count,
  fuse: { limit: row.most, perMs: row.per_ms },
  eventId: row.event_id,
  chain: row.chain,
  held: row.held,
});
