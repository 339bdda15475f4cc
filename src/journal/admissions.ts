/**
 * Slots of `throttle` and `concurrency`. A run of a flow with limits holds its slots in its own row:
 *
 *     opened: waits_since ─► admitted: waits_since null ─► sent: begun_at ─► settled: all null
 *
 * so that nothing can leak and the dispatcher can ask as often as it likes. What may let a run begin
 * leaves a row in `slot_checks`: an append that opens a run, a settlement that frees a slot, and for a
 * throttle the time when the next may begin. Settlements and appends only insert there, so they never
 * wait for a decision.
 */
import { sql } from 'kysely';
import { admit, type Verdict, type WaitingRun } from '../model/admission.ts';
import type { FlowLimits, Throttle } from '../model/flow-registry.ts';
import type { RunId } from '../model/run.ts';
import type { PendingRun } from './deliveries.ts';
import { pendingRun, WATERMARK_COLUMNS } from './dispatch-queries.ts';
import type { Admissions } from './journal.ts';
import type { JournalDatabase } from './schema.ts';

/** The flows, by tenant, that one call looks at; the next looks at the others. */
const SCOPES_MAX = 100;
/** The runs of a pair of keys that are looked at together. */
const RUNS_OF_A_PAIR_MAX = 200;
const OLD_BEGINS_MAX = 1_000;

/** One flow in one tenant: what is decided together. */
interface Scope {
  readonly flow: string;
  readonly tenant: string;
}

/** Two limit keys; without a throttle key, the concurrency key with every throttle key. */
interface Check {
  readonly concurrency_key: string;
  readonly throttle_key: string | null;
}

export async function admitDue(
  database: JournalDatabase,
  limits: ReadonlyMap<string, FlowLimits>,
): Promise<Admissions> {
  const { due, ...idle } = await overview(database);
  if (due.length === 0) return admissions([], idle);
  const admitted: PendingRun[] = [];
  for (const scope of due) {
    admitted.push(...(await admitInScope(database, scope, limits.get(scope.flow) ?? {})));
  }
  for (const flow of new Set(due.map((scope) => scope.flow))) {
    const throttle = limits.get(flow)?.throttle;
    if (throttle !== undefined) await forgetOldBegins(database, flow, throttle);
  }
  return admissions(admitted, await overview(database));
}

/** Limits may have changed: every pair of keys that runs wait under is looked at again. */
export async function reviewWaiting(database: JournalDatabase): Promise<void> {
  await sql`
    insert into slot_checks (flow, tenant, concurrency_key, throttle_key, due_at)
    select distinct flow, tenant, concurrency_key, throttle_key, now()
    from runs
    where waits_since is not null`.execute(database);
}

interface Overview {
  readonly due: readonly Scope[];
  readonly waits: boolean;
  readonly next_in_ms: number | null;
}

async function overview(database: JournalDatabase): Promise<Overview> {
  const { rows } = await sql<Overview>`
    select
      exists (select from runs where waits_since is not null) as waits,
      extract(epoch from (select min(due_at) from slot_checks) - clock_timestamp())::float8 * 1000
        as next_in_ms,
      coalesce((
        select json_agg(json_build_object('flow', flow, 'tenant', tenant))
        from (
          select flow, tenant
          from slot_checks
          where due_at <= clock_timestamp()
          group by flow, tenant
          order by min(due_at)
          limit ${SCOPES_MAX}::int
        ) as scope
      ), '[]') as due`.execute(database);
  return rows[0] ?? { due: [], waits: false, next_in_ms: null };
}

const admissions = (
  admitted: readonly PendingRun[],
  { waits, next_in_ms: nextInMs }: Omit<Overview, 'due'>,
): Admissions => ({
  admitted,
  ...(waits && { nextInMs: Math.max(0, Math.ceil(nextInMs ?? Number.MAX_SAFE_INTEGER)) }),
});

/**
 * Several statements under one lock: each sees what was committed before it, as a single statement,
 * whose snapshot is older than its locks, does not.
 */
function admitInScope(
  database: JournalDatabase,
  scope: Scope,
  limits: FlowLimits,
): Promise<readonly PendingRun[]> {
  return database.transaction().execute(async (transaction) => {
    const lock = `slots ${scope.flow}:${scope.tenant}`;
    await sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`.execute(transaction);
    const checks = await takeChecks(transaction, scope);
    const waiting = await waitingRuns(transaction, scope, checks, limits);
    const first = waiting[0];
    if (first === undefined) return [];
    const verdict = admit(
      {
        now: first.now,
        waiting,
        open: await openRuns(transaction, scope, limits, waiting),
        begins: await latestBegins(transaction, scope, limits, { waiting, now: first.now }),
      },
      limits,
    );
    await lookAgain(transaction, scope, [...verdict.lookAgain, ...unseen(waiting, verdict)]);
    return letBegin(transaction, verdict.admitted);
  });
}

/** The due checks of a flow, which are done with this transaction. */
async function takeChecks(
  database: JournalDatabase,
  { flow, tenant }: Scope,
): Promise<readonly Check[]> {
  const { rows } = await sql<Check>`
    with taken as (
      delete from slot_checks
      where flow = ${flow} and tenant = ${tenant} and due_at <= clock_timestamp()
      returning concurrency_key, throttle_key
    )
    select distinct concurrency_key, throttle_key from taken`.execute(database);
  return rows;
}

interface WaitingRow extends WaitingRun {
  readonly now: number;
}

/** The oldest that wait under each pair of these checks: one more than may begin, where that is few. */
async function waitingRuns(
  database: JournalDatabase,
  { flow, tenant }: Scope,
  checks: readonly Check[],
  { throttle, concurrency }: FlowLimits,
): Promise<readonly WaitingRow[]> {
  const mostBegin = Math.min(
    throttle?.limit ?? Number.POSITIVE_INFINITY,
    concurrency?.limit ?? Number.POSITIVE_INFINITY,
  );
  const waits = sql`waits_since is not null and flow = ${flow} and tenant = ${tenant}`;
  const { rows } = await sql<WaitingRow>`
    with recursive check_row as (
      select * from json_to_recordset(${JSON.stringify(checks)}::json)
        as check_row (concurrency_key text, throttle_key text)
    ), pair (concurrency_key, throttle_key) as (
      -- From one throttle key to the next by the index, however many runs wait under each.
      select check_row.concurrency_key, (
        select min(runs.throttle_key) from runs
        where ${waits} and runs.concurrency_key = check_row.concurrency_key
      )
      from check_row
      where check_row.throttle_key is null
      union all
      select pair.concurrency_key, (
        select min(runs.throttle_key) from runs
        where ${waits} and runs.concurrency_key = pair.concurrency_key
          and runs.throttle_key > pair.throttle_key
      )
      from pair
      where pair.throttle_key is not null
    ), looked_at as (
      select concurrency_key, throttle_key from pair where throttle_key is not null
      union
      select concurrency_key, throttle_key from check_row where throttle_key is not null
    )
    select next.run, looked_at.concurrency_key as "concurrencyKey",
      looked_at.throttle_key as "throttleKey",
      extract(epoch from statement_timestamp())::float8 * 1000 as now
    from looked_at cross join lateral (
      select runs.run, runs.waits_since
      from runs
      where ${waits} and runs.concurrency_key = looked_at.concurrency_key
        and runs.throttle_key = looked_at.throttle_key
      order by runs.waits_since, runs.run
      limit ${Math.min(mostBegin + 1, RUNS_OF_A_PAIR_MAX)}::int
    ) as next
    order by next.waits_since, next.run`.execute(database);
  return rows;
}

async function openRuns(
  database: JournalDatabase,
  { flow, tenant }: Scope,
  { concurrency }: FlowLimits,
  waiting: readonly WaitingRun[],
): Promise<ReadonlyMap<string, number>> {
  if (concurrency === undefined) return new Map();
  const keys = [...new Set(waiting.map(({ concurrencyKey }) => concurrencyKey))];
  const { rows } = await sql<{ key: string; open: number }>`
    select concurrency_key as key, count(*) as open
    from runs
    where waits_since is null and concurrency_key is not null
      and flow = ${flow} and tenant = ${tenant}
      and concurrency_key in (select json_array_elements_text(${JSON.stringify(keys)}::json))
    group by concurrency_key`.execute(database);
  return new Map(rows.map(({ key, open }) => [key, open]));
}

/** A run that has its slot and is not sent yet counts as begun now: it may begin at any moment. */
async function latestBegins(
  database: JournalDatabase,
  { flow, tenant }: Scope,
  { throttle }: FlowLimits,
  { waiting, now }: { readonly waiting: readonly WaitingRun[]; readonly now: number },
): Promise<ReadonlyMap<string, readonly number[]>> {
  if (throttle === undefined) return new Map();
  const keys = [...new Set(waiting.map(({ throttleKey }) => throttleKey))];
  const since = sql`to_timestamp(${(now - throttle.perMs) / 1_000}::float8)`;
  const { rows } = await sql<{ key: string; begins: readonly (number | null)[] }>`
    select shared.key, (
      select json_agg(extract(epoch from begun_at)::float8 * 1000)
      from (
        select begun_at from (
          select begun_at
          from throttle_begins
          where flow = ${flow} and tenant = ${tenant} and throttle_key = shared.key
            and begun_at > ${since}
          union all
          select begun_at
          from runs
          where waits_since is null and flow = ${flow} and tenant = ${tenant}
            and throttle_key = shared.key and (begun_at is null or begun_at > ${since})
        ) as begun
        order by begun_at desc nulls first
        limit ${throttle.limit}::int
      ) as latest
    ) as begins
    from json_array_elements_text(${JSON.stringify(keys)}::json) as shared (key)`.execute(database);
  return new Map(
    rows.map(({ key, begins }) => [
      key,
      (begins ?? []).map((at) => at ?? now).sort((a, b) => a - b),
    ]),
  );
}

/** When so many begin, there may be more of a pair than were looked at. */
function unseen(
  waiting: readonly WaitingRow[],
  { admitted }: Verdict,
): readonly Verdict['lookAgain'][number][] {
  if (admitted.length < RUNS_OF_A_PAIR_MAX) return [];
  const pairs = waiting.map(({ concurrencyKey, throttleKey, now }) => ({
    concurrencyKey,
    throttleKey,
    at: now,
  }));
  return [...new Map(pairs.map((pair) => [JSON.stringify(pair), pair])).values()];
}

/** Leaves a check for each pair that has none as early. */
async function lookAgain(
  database: JournalDatabase,
  { flow, tenant }: Scope,
  pairs: Verdict['lookAgain'],
): Promise<void> {
  if (pairs.length === 0) return;
  await sql`
    insert into slot_checks (flow, tenant, concurrency_key, throttle_key, due_at)
    select ${flow}, ${tenant}, "concurrencyKey", "throttleKey", to_timestamp(at / 1000)
    from json_to_recordset(${JSON.stringify(pairs)}::json)
      as pair ("concurrencyKey" text, "throttleKey" text, at float8)
    where not exists (
      select from slot_checks
      where flow = ${flow} and tenant = ${tenant} and concurrency_key = "concurrencyKey"
        and throttle_key = "throttleKey" and due_at <= to_timestamp(at / 1000)
    )`.execute(database);
}

async function letBegin(
  database: JournalDatabase,
  runs: readonly RunId[],
): Promise<readonly PendingRun[]> {
  if (runs.length === 0) return [];
  const rows = await database
    .with('admitted', (query) =>
      query
        .selectFrom('runs')
        .select('run')
        .where('run', 'in', [...runs])
        .where('waits_since', 'is not', null)
        // The order in which an append locks them.
        .orderBy('run')
        .forUpdate(),
    )
    .updateTable('runs')
    .from('admitted')
    .set({ waits_since: null, updated_at: sql<Date>`now()`, touched_at: sql<Date>`now()` })
    .whereRef('runs.run', '=', 'admitted.run')
    .returning(WATERMARK_COLUMNS)
    .execute();
  const row = new Map(rows.map((of) => [of.run, of]));
  return runs.flatMap((run) => {
    const of = row.get(run);
    return of === undefined ? [] : [pendingRun(of)];
  });
}

/** Begins that a flow's throttle no longer counts, of every tenant and key. */
async function forgetOldBegins(
  database: JournalDatabase,
  flow: string,
  { perMs }: Throttle,
): Promise<void> {
  await sql`
    delete from throttle_begins
    where seq in (
      select seq
      from throttle_begins
      where flow = ${flow} and begun_at < now() - ${perMs}::float8 * interval '1 millisecond'
      order by begun_at
      limit ${OLD_BEGINS_MAX}::int
      for update skip locked
    )`.execute(database);
}
