import { type RawBuilder, sql } from 'kysely';
import { TidegateError } from '../model/error.ts';
import type { AppendEntry, NumberedDelivery } from './deliveries.ts';
import { holding } from './held-deliveries.ts';
import { runLane } from './lanes.ts';
import { PREPARED } from './prepared.ts';
import { keeping } from './raw-deliveries.ts';
import type { JournalDatabase } from './schema.ts';
import { whenSent } from './sealing.ts';

/** An entry with its event as the text that is stored. */
export interface PreparedEntry extends AppendEntry {
  readonly envelope: string;
  readonly bytes: number;
}

/** What became of one entry: new with its deliveries, or known under `seq` from before. */
export type Written =
  | { readonly fresh: true; readonly deliveries: readonly NumberedDelivery[] }
  | { readonly fresh: false; readonly correlationId: string; readonly first: FirstOfItsIdentity };

/** The event that a duplicate repeats: one of an earlier group, or an earlier entry of this one. */
type FirstOfItsIdentity =
  | { readonly seq: number }
  | { readonly deliveries: readonly NumberedDelivery[] };

export function prepareEntry(entry: AppendEntry): PreparedEntry {
  const envelope = JSON.stringify(entry.event);
  return { ...entry, envelope, bytes: Buffer.byteLength(envelope) };
}

interface WrittenRow {
  readonly ord: number;
  readonly seq: number;
  readonly fresh: boolean;
  readonly correlation_id: string;
  readonly target: number | null;
  readonly number: number | null;
  readonly waits: boolean | null;
}

/**
 * Commits entries with one statement, which is its own transaction: one round trip.
 *
 * Rows are locked in a fixed order, events by identity and then runs by id, so that groups of several
 * processes wait for each other instead of breaking a deadlock. The entries travel as JSON text with
 * each envelope as a string in it: unpacking the envelope there would refuse `\u0000`.
 */
export async function writeEntries(
  database: JournalDatabase,
  entries: readonly PreparedEntry[],
): Promise<readonly Written[]> {
  const { firsts, positions } = foldDuplicates(entries);
  const targets = firsts.flatMap(({ entry }, position) =>
    entry.deliveries.map((target) => ({ position, target })),
  );
  const rows = await execute(database, firsts, targets);
  const written: Written[] = firsts.map(() => ({ fresh: true, deliveries: [] }));
  const numbered = new Map<number, NumberedDelivery[]>();
  for (const row of rows) {
    if (!row.fresh) {
      const { seq, correlation_id: correlationId } = row;
      written[row.ord] = { fresh: false, correlationId, first: { seq } };
      continue;
    }
    const target = row.target === null ? undefined : targets[row.target]?.target;
    if (target === undefined || row.number === null) continue;
    const deliveries = numbered.get(row.ord) ?? [];
    const { flow, key, run } = target;
    deliveries.push({ flow, key, run, number: row.number, ...(row.waits && { waits: true }) });
    numbered.set(row.ord, deliveries);
    written[row.ord] = { fresh: true, deliveries };
  }
  return entries.map((entry, index) => {
    const position = positions[index] as number;
    const first = firsts[position] as FoldedEntry;
    const result = written[position] as Written;
    if (first.entry === entry || !result.fresh) return result;
    const { deliveries } = result;
    const correlationId = first.entry.event.correlationid;
    return { fresh: false, correlationId, first: { deliveries } };
  });
}

interface FoldedEntry {
  readonly entry: PreparedEntry;
  readonly repeats: number;
}

/** One statement can write an identity once: the entries that repeat one are counted on the first. */
function foldDuplicates(entries: readonly PreparedEntry[]): {
  readonly firsts: readonly FoldedEntry[];
  readonly positions: readonly number[];
} {
  const known = new Map<string, number>();
  const firsts: { entry: PreparedEntry; repeats: number }[] = [];
  const positions = entries.map((entry) => {
    const { tenantid, source, id } = entry.event;
    const identity = JSON.stringify([tenantid, source, id]);
    const position = known.get(identity);
    const first = position === undefined ? undefined : firsts[position];
    if (position !== undefined && first !== undefined) {
      first.repeats += 1;
      return position;
    }
    known.set(identity, firsts.length);
    return firsts.push({ entry, repeats: 0 }) - 1;
  });
  return { firsts, positions };
}

type LimitParts = Readonly<
  Record<'columns' | 'values' | 'whenOpened' | 'checks', RawBuilder<unknown>>
>;

/** What a group adds to the statement when a flow in it has limits, and any other does not pay for. */
const LIMITED: LimitParts = {
  columns: sql`, concurrency_key, throttle_key, waits_since`,
  // The event that opens the run decides; runs of one commit wait in the order of its events.
  values: sql`,
        (array_agg(concurrency_key order by target))[1],
        (array_agg(throttle_key order by target))[1],
        case when (array_agg(concurrency_key order by target))[1] is not null
          then now() + min(target) * interval '1 microsecond' end`,
  whenOpened: sql`,
        concurrency_key = case when runs.settled_through = runs.accepted_through
          then excluded.concurrency_key else runs.concurrency_key end,
        throttle_key = case when runs.settled_through = runs.accepted_through
          then excluded.throttle_key else runs.throttle_key end,
        waits_since = case when runs.settled_through = runs.accepted_through
          then excluded.waits_since else runs.waits_since end`,
  checks: sql`, checked as (
      insert into slot_checks (flow, tenant, concurrency_key, throttle_key, due_at)
      select distinct flow, tenant, concurrency_key, throttle_key, now()
      from raised
      where waits_since >= now()
    )`,
};
const UNLIMITED: LimitParts = {
  columns: sql``,
  values: sql``,
  whenOpened: sql``,
  checks: sql``,
};

/**
 * The part of a statement that numbers new deliveries, as CTEs `raised`, `numbered` and `delivered`,
 * after a CTE `fresh` of them: `target` in the order in which they come, `ord`, `seq` of the event,
 * `run`, `flow`, `tenant`, `key`, `lane`, `nth` and `of_run` within the run, the limit keys, and `made`,
 * whether it counts towards the run's fuse.
 */
export function numbering(areLimited: boolean): RawBuilder<unknown> {
  const limits = areLimited ? LIMITED : UNLIMITED;
  return sql`raised as (
      insert into runs (
        run, flow, tenant, key, lane, accepted_through, status, pending_since${limits.columns}
      )
      select run, min(flow), min(tenant), min(key), min(lane), count(*), 'open', now()${limits.values}
      from fresh
      group by run
      order by run collate "C"
      on conflict (run) do update set
        accepted_through = runs.accepted_through + excluded.accepted_through,
        status = case when runs.status = 'parked' then 'parked' else 'open' end,
        pending_since = case
          when runs.sent_through < runs.accepted_through then runs.pending_since
          else now()
        end,
        updated_at = now()${limits.whenOpened}
      returning run, flow, tenant, accepted_through, concurrency_key, throttle_key, waits_since,
        fused_at, undeliverable_since
    )${limits.checks}, numbered as (
      select fresh.ord, fresh.target, fresh.run, fresh.seq, fresh.made,
        raised.accepted_through - fresh.of_run + fresh.nth as number,
        raised.waits_since is not null or raised.fused_at is not null
          or raised.undeliverable_since is not null as waits
      from fresh join raised using (run)
    ), delivered as (
      insert into deliveries (run, number, event_seq, made_at)
      select run, number, seq, case when made then now() end from numbered
    )`;
}

async function execute(
  database: JournalDatabase,
  firsts: readonly FoldedEntry[],
  targets: readonly { readonly position: number; readonly target: AppendEntry['deliveries'][0] }[],
): Promise<readonly WrittenRow[]> {
  const eventRows = whenSent((seal) =>
    JSON.stringify(
      firsts.map(({ entry: { event, envelope, bytes, status, reason }, repeats }, position) => ({
        ord: position,
        tenant: event.tenantid,
        source: event.source,
        id: event.id,
        type: event.type,
        subject: event.subject,
        time: event.time,
        status,
        reason,
        correlation_id: event.correlationid,
        causation_id: event.causationid,
        schema_version: event.schemaversion,
        origin: event.origin,
        hops: event.hops,
        envelope: seal(envelope, { tenant: event.tenantid, column: 'envelope' }),
        envelope_bytes: bytes,
        repeats,
      })),
    ),
  );
  const targetRows = targets.map(({ position, target }, index) => ({
    target: index,
    ord: position,
    run: target.run,
    flow: target.flow,
    tenant: firsts[position]?.entry.event.tenantid,
    key: target.key,
    lane: runLane(target.run),
    made: target.fuse !== undefined,
    ...(target.limitKeys && {
      concurrency_key: target.limitKeys.concurrency ?? '',
      throttle_key: target.limitKeys.throttle ?? '',
    }),
  }));
  const areLimited = targets.some(({ target }) => target.limitKeys);
  const held = firsts.flatMap(({ entry }, ord) =>
    (entry.held ?? []).map((holds) => ({ ord, tenant: entry.event.tenantid, ...holds })),
  );
  const raw = keeping(firsts.map(({ entry }, ord) => ({ ord, entry })));
  const { rows } = await sql<WrittenRow>`${PREPARED}
    with entry as (
      select * from json_to_recordset(${eventRows}::json) as entry (
        ord int, tenant text, source text, id text, type text, subject text,
        time timestamptz, status text, reason text, correlation_id text, causation_id text,
        schema_version int, origin text, hops smallint, envelope text, envelope_bytes int, repeats int
      )
    ), target as (
      select * from json_to_recordset(${JSON.stringify(targetRows)}::json) as target (
        target int, ord int, run text, flow text, tenant text, key text, lane int,
        made boolean, concurrency_key text, throttle_key text
      )
    ), written as (
      insert into events (
        tenant, source, id, type, subject, time, status, reason, correlation_id, causation_id,
        schema_version, origin, hops, envelope_bytes, duplicates
      )
      select tenant, source, id, type, subject, time, status, reason, correlation_id, causation_id,
        schema_version, origin, hops, envelope_bytes, repeats
      from entry
      order by id collate "C", source collate "C", tenant collate "C"
      on conflict (id, source, tenant)
        do update set duplicates = events.duplicates + 1 + excluded.duplicates
      -- A row that was only inserted has no transaction that changed it.
      returning seq, received_at, tenant, source, id, correlation_id, xmax = 0 as fresh
    ), event as (
      select entry.ord, written.seq, written.received_at, written.fresh, written.correlation_id
      -- Each entry has its row. By an inner join the planner would expect one of them, and put each of the
      -- joins that follow into a loop over all: a group of 1,000 took three times as long for each event.
      from entry left join written using (id, source, tenant)
    ), kept as (
      insert into event_data (received_at, event_seq, envelope)
      select event.received_at, event.seq, entry.envelope::json
      from event join entry using (ord)
      where event.fresh
    ), fresh as (
      select target.*, event.seq,
        row_number() over (partition by target.run order by target.target) as nth,
        count(*) over (partition by target.run) as of_run
      from target join event using (ord)
      where event.fresh
    ), ${numbering(areLimited)}${holding(held)}${raw}, mended as (
      -- What was refused before under this identity has come again and is taken.
      select rejections.seq
      from rejections join entry using (id, source, tenant)
      where rejections.closed_at is null
      -- The order in which a refusal locks them.
      order by rejections.identity
      for update of rejections
    ), closed as (
      update rejections set closed_at = now(), closing = 'sent_again'
      from mended
      where rejections.seq = mended.seq
    )
    select event.ord, event.seq, event.fresh, event.correlation_id,
      numbered.target, numbered.number, numbered.waits
    from event left join numbered using (ord)
    order by event.ord, numbered.target`.execute(database);
  const answered = rows.flatMap(({ ord, seq }) => (seq === null ? [] : [ord]));
  if (new Set(answered).size === firsts.length) return rows;
  throw new TidegateError(
    'internal_error',
    `the journal answered for ${answered.length} of ${firsts.length} events of a group.`,
  );
}
