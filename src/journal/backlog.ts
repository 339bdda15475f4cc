/** Counts for metrics and shedding. Each is bounded, by an index of what is open only. */
import { sql } from 'kysely';
import type { DeadLetter, DeadLetterCounts } from './dead-letters.ts';
import type { Backlog } from './journal.ts';
import type { JournalDatabase } from './schema.ts';

/** What one count looks at before it says "at least". */
const COUNTED_ROWS_MAX = 10_000;

export async function backlog(database: JournalDatabase): Promise<Backlog> {
  const { rows } = await sql<{ runs: number; deliveries: number; oldest_age_ms: number }>`
    with waiting as (
      select run, sent_through, accepted_through, pending_since
      from runs
      where to_send
      order by pending_since
      limit ${COUNTED_ROWS_MAX}::int
    ), counted as (
      select count(*)::int as runs,
        coalesce(sum(accepted_through - sent_through), 0)::bigint as deliveries,
        min(pending_since) as oldest
      from waiting
    ), beyond as (
      -- What waits in further runs came later than the first delivery that the last run counted has to send.
      select greatest(0, (select max(seq) from events) - deliveries.event_seq)::bigint as deliveries
      from (select run, sent_through from waiting order by pending_since desc limit 1) as latest
      join deliveries on deliveries.run = latest.run
        and deliveries.number = latest.sent_through + 1
      where (select runs from counted) >= ${COUNTED_ROWS_MAX}::int
    )
    select runs,
      deliveries + coalesce((select deliveries from beyond), 0) as deliveries,
      coalesce(extract(epoch from clock_timestamp() - oldest) * 1000, 0)::float8 as oldest_age_ms
    from counted`.execute(database);
  const row = rows[0];
  return {
    runs: row?.runs ?? 0,
    deliveries: row?.deliveries ?? 0,
    oldestAgeMs: Math.max(0, Math.round(row?.oldest_age_ms ?? 0)),
  };
}

export async function countDeadLetters(database: JournalDatabase): Promise<DeadLetterCounts> {
  const { rows } = await sql<{ kind: DeadLetter['kind']; count: number }>`
    select 'rejected' as kind, count(*)::int as count from (
      select from rejections where closed_at is null limit ${COUNTED_ROWS_MAX}::int
    ) as open
    union all
    select 'parked', count(*)::int from (
      select from parks where decided_at is null and closed_at is null
      limit ${COUNTED_ROWS_MAX}::int
    ) as open
    union all
    select 'lost', count(*)::int from (
      select from settlements where outcome = 'lost' and closed_at is null
      limit ${COUNTED_ROWS_MAX}::int
    ) as open
    union all
    select 'held', count(*)::int from (
      select from held_deliveries where closed_at is null limit ${COUNTED_ROWS_MAX}::int
    ) as open
    union all
    select 'fused', count(*)::int from (
      select from fuse_trips where closed_at is null limit ${COUNTED_ROWS_MAX}::int
    ) as open
    union all
    select 'undeliverable', count(*)::int from (
      select from undeliverable where closed_at is null limit ${COUNTED_ROWS_MAX}::int
    ) as open`.execute(database);
  const counts = { rejected: 0, parked: 0, lost: 0, held: 0, fused: 0, undeliverable: 0 };
  for (const { kind, count } of rows) counts[kind] = count;
  return counts;
}
