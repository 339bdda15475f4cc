import assert from 'node:assert/strict';
import { fillJournal } from '../../bench/fill-journal.ts';
import { admitDue, reviewWaiting } from '../../src/journal/admissions.ts';
import { apiKeysOf } from '../../src/journal/api-keys.ts';
import { makeAppender } from '../../src/journal/append.ts';
import { auditOf, recordAudit } from '../../src/journal/audit.ts';
import { backlog, countDeadLetters } from '../../src/journal/backlog.ts';
import { dataOfEvents } from '../../src/journal/data-of-events.ts';
import { findDeadLetter, listDeadLetters } from '../../src/journal/dead-letter-queries.ts';
import { deliveriesAfter, doubtfulRuns, pendingRuns } from '../../src/journal/dispatch-queries.ts';
import { findEvents, listEvents } from '../../src/journal/event-queries.ts';
import { claimEchoes, recordWrite, withdrawWrite } from '../../src/journal/fingerprints.ts';
import { resetFuse, tripFuses } from '../../src/journal/fuse.ts';
import { leaseLanes } from '../../src/journal/lanes.ts';
import { listOutbox, recordOutbox } from '../../src/journal/outbox.ts';
import { findPark } from '../../src/journal/park-queries.ts';
import { hasPlacedRuns } from '../../src/journal/place-run.ts';
import { rawDeliveriesOf } from '../../src/journal/raw-deliveries.ts';
import { reject } from '../../src/journal/rejections.ts';
import { eraseDue } from '../../src/journal/retention.ts';
import { runActivities } from '../../src/journal/run-activities.ts';
import { listRuns } from '../../src/journal/run-queries.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { settle } from '../../src/journal/settle.ts';
import { makeSettler } from '../../src/journal/settler.ts';
import { countRefusal, setAside } from '../../src/journal/undeliverable.ts';
import { sharedPostgres } from './both-databases.ts';
import { ALL_LANES, accepted, event, freshRun, target, unique } from './entries.ts';
import { type ExplainedJournal, nodesOf, openExplained } from './explained.ts';

const act = { actor: 'ana', reason: 'r' };
const change = { system: 'crm', object: 'o', fields: { name: 'Ana' } };
const LIMITS = { concurrency: { limit: 1 }, throttle: { limit: 1, perMs: 1_000 } };
const key = { idempotencyKey: 'k', tenant: 'acme', run: freshRun().run };

/** What asks the database, by what it is for. */
const ASKED: Readonly<Record<string, (database: JournalDatabase) => Promise<unknown>>> = {
  append: (database) => makeAppender(database).append([freshRun().entry()]),
  'append of a duplicate': async (database) => {
    const entry = freshRun().entry();
    await makeAppender(database).append([entry]);
    await makeAppender(database).append([entry]);
  },
  'all events': (database) => listEvents(database, {}, {}),
  'events of a tenant': (database) => listEvents(database, { tenant: 'acme' }, {}),
  'events of a type': (database) => listEvents(database, { type: 'deal.changed' }, {}),
  'events of a source': (database) => listEvents(database, { source: 'crm' }, {}),
  'events of a story': (database) =>
    listEvents(database, { correlationId: 'filled-000000000007' }, {}),
  'filtered events': (database) => listEvents(database, { status: 'filtered' }, {}),
  'an event by its id': (database) => findEvents(database, undefined, 'filled-000000000007'),
  'the data of events that are passed by reference': (database) =>
    dataOfEvents(database, { tenant: 'acme', run: key.run }, [{ source: 'crm', id: 'e' }]),
  'a refused delivery': (database) =>
    countRefusal(database, { run: key.run, number: 1, reason: 'r' }),
  'a delivery that is set aside': (database) =>
    setAside(database, 'dispatcher', { run: key.run, number: 1, reason: 'r', holds: true }),
  'runs of a flow': (database) => listRuns(database, { flow: 'limited' }, {}),
  'runs of a tenant': (database) => listRuns(database, { tenant: 'tiny' }, {}),
  'all runs': (database) => listRuns(database, {}, {}),
  'open runs': (database) => listRuns(database, { status: 'open' }, {}),
  'runs to send': (database) => pendingRuns(database, ALL_LANES, 100),
  'deliveries of a run': (database) =>
    deliveriesAfter(database, key.run, 0, { count: 9, bytes: 9e9 }),
  'runs that nothing is heard of': (database) => doubtfulRuns(database, ALL_LANES, 0, 100),
  'a place': hasPlacedRuns,
  'the backlog': backlog,
  'the open dead letters by kind': countDeadLetters,
  'the open dead letters': (database) => listDeadLetters(database, {}),
  ...Object.fromEntries(
    (['rejected', 'parked', 'lost', 'held', 'fused', 'undeliverable'] as const).map((kind) => [
      `${kind === 'undeliverable' ? 'an' : 'a'} ${kind} dead letter`,
      (database: JournalDatabase) => findDeadLetter(database, { kind, number: 1 }),
    ]),
  ),
  'the slots': (database) => admitDue(database, new Map([['limited', LIMITS]])),
  'a review of what waits': reviewWaiting,
  lanes: (database) => leaseLanes(database, 'dispatcher', 60_000),
  'the settlement of a run': (database) =>
    settle(database, { run: key.run, through: 1, outcome: 'completed' }),
  'the loss of a run': (database) =>
    settle(database, { run: freshRun().run, through: 1, outcome: 'lost' }),
  'an opened run': (database) =>
    runActivities(database, makeSettler(database))['journal.open']({
      run: key.run,
      workflowRunId: 'w',
      firstNumber: 1,
    }),
  'a park': (database) =>
    runActivities(database, makeSettler(database))['journal.park']({
      run: key.run,
      workflowRunId: 'w',
      parkId: '1/a',
      step: 's',
      reason: 'r',
    }),
  'a voice': (database) =>
    runActivities(database, makeSettler(database))['journal.voice']({
      run: key.run,
      parkId: '1/a',
      voice: { approver: 'ana', action: 'approve', reason: 'r', at: 1, via: 'api' },
    }),
  'a step': (database) =>
    runActivities(database, makeSettler(database))['journal.record']({
      run: key.run,
      window: 1,
      step: 's',
      kind: 'saga',
      record: {},
    }),
  'what a run asks': (database) => findPark(database, key.run, '1/a'),
  'a refusal': (database) =>
    reject(database, [{ tenant: 'a', source: 's', id: 'i', code: 'c', message: 'm', body: 'b' }]),
  'a write': (database) => recordWrite(database, { ...key, operation: 'o', change, echoMs: 1 }),
  'a write that failed': (database) => withdrawWrite(database, 'k'),
  'an echo': (database) => claimEchoes(database, [{ event: event(), change }]),
  'a tripped fuse': (database) =>
    tripFuses(database, [{ run: key.run, fuse: { limit: 1, perMs: 1 }, event: event() }]),
  'a fuse that is reset': (database) => resetFuse(database, key.run, act),
  'what a fake keeps': (database) =>
    recordOutbox(database, { ...key, connector: 'c', operation: 'o', input: 1 }),
  'what fakes have kept': (database) => listOutbox(database, {}, {}),
  'what fakes have kept of a run': (database) => listOutbox(database, { run: key.run }, {}),
  'an audit entry': (database) =>
    recordAudit(database, { ...act, action: 'a', target: 't', act: 'x' }),
  'the audit': (database) => auditOf(database).list({}, {}),
  'the audit of a day': (database) =>
    auditOf(database).list({ from: '2026-01-01', to: '2026-01-02' }, {}),
  'an API key': (database) => apiKeysOf(database).find('id'),
  'all API keys': (database) => apiKeysOf(database).list({}, {}),
  'the API keys of a tenant': (database) => apiKeysOf(database).list({ tenant: 'acme' }, {}),
  'a delivery as it came': (database) => rawDeliveriesOf(database).find(event()),
  'deliveries that are over': (database) => rawDeliveriesOf(database).deleteBefore(new Date(0)),
  'a round of the retention': (database) =>
    eraseDue(database, { rules: [], days: 29, rememberDays: 0 }, new Date()),
};

/** Every index and a question that it answers. One without such a question is dropped. */
const SERVES: Readonly<Record<string, string>> = {
  events_pkey: 'all events',
  events_identity: 'append',
  events_by_correlation: 'events of a story',
  events_by_type: 'events of a type',
  events_by_tenant: 'events of a tenant',
  events_by_source: 'events of a source',
  events_by_status: 'filtered events',
  events_erased: 'a round of the retention',
  event_data_pkey: 'deliveries of a run',
  deliveries_pkey: 'deliveries of a run',
  deliveries_by_event: 'an event by its id',
  deliveries_made: 'a tripped fuse',
  runs_pkey: 'append',
  runs_seq_key: 'all runs',
  runs_by_flow: 'runs of a flow',
  runs_by_tenant: 'runs of a tenant',
  runs_open: 'open runs',
  runs_to_send: 'the backlog',
  runs_to_send_by_tenant: 'runs to send',
  runs_to_settle: 'runs that nothing is heard of',
  runs_waiting: 'the slots',
  runs_in_slots: 'the slots',
  runs_throttled: 'the slots',
  runs_placed: 'a place',
  settlements_pkey: 'an event by its id',
  settlements_lost: 'a lost dead letter',
  settlements_lost_open: 'the open dead letters',
  parks_pkey: 'a park',
  parks_by_seq: 'a parked dead letter',
  parks_open: 'the open dead letters',
  voices_pkey: 'a voice',
  step_records_pkey: 'a step',
  rejections_pkey: 'a rejected dead letter',
  rejections_identity_key: 'a refusal',
  rejections_open: 'the open dead letters',
  rejections_open_by_id: 'append',
  held_deliveries_pkey: 'a held dead letter',
  held_deliveries_identity: 'an event by its id',
  held_deliveries_open: 'the open dead letters',
  undeliverable_pkey: 'an undeliverable dead letter',
  undeliverable_by_run: 'deliveries of a run',
  undeliverable_open: 'the open dead letters',
  fuse_trips_pkey: 'a fused dead letter',
  fuse_trips_by_run: 'a fuse that is reset',
  fuse_trips_open: 'the open dead letters',
  slot_checks_due: 'the slots',
  slot_checks_by_keys: 'the slots',
  throttle_begins_pkey: 'the slots',
  throttle_begins_by_key: 'the slots',
  throttle_begins_by_time: 'the slots',
  connector_writes_pkey: 'a write',
  connector_writes_idempotency_key_key: 'a write',
  connector_writes_by_object: 'an echo',
  connector_writes_by_expiry: 'a write',
  outbox_pkey: 'what fakes have kept',
  outbox_idempotency_key_key: 'what a fake keeps',
  outbox_by_run: 'what fakes have kept of a run',
  audit_pkey: 'the audit',
  audit_act_key: 'an audit entry',
  audit_by_time: 'the audit of a day',
  api_keys_pkey: 'an API key',
  api_keys_seq_key: 'all API keys',
  api_keys_by_tenant: 'the API keys of a tenant',
  lanes_pkey: 'lanes',
  dispatchers_pkey: 'lanes',
  swept_days_pkey: 'a round of the retention',
  raw_deliveries_pkey: 'a delivery as it came',
  raw_delivery_events_pkey: 'a delivery as it came',
};

/** So many rows that an index is worth its use; a server chooses by how many there are. */
const SEEDS: readonly string[] = [
  `insert into parks (run, park_id, step, reason) select run, '1/a', 's', 'r' from runs`,
  `insert into fuse_trips (run, event_id, chain, most, per_ms, count)
    select run, 'e', 'c', 1, 1, 1 from runs`,
  `insert into held_deliveries (event_seq, flow, tenant, code, message)
    select seq, 'f', tenant, 'c', 'm' from events where seq % 4 = 0`,
  `insert into rejections (identity, tenant, source, id, code, message, body)
    select id, tenant, source, id, 'c', 'm', 'b' from events`,
  `insert into undeliverable (run, number, event_seq, reason, attempts, holds, passed_over)
    select run, number, event_seq, 'r', 1, false, true from deliveries`,
  `insert into slot_checks (flow, tenant, concurrency_key, throttle_key, due_at)
    select flow, tenant, key, key, now() + interval '1 day' from runs`,
  `insert into throttle_begins (flow, tenant, throttle_key, begun_at)
    select flow, tenant, key, updated_at from runs`,
  `update settlements set outcome = 'lost' where from_number = 1`,
  `update settlements set closed_at = now() where from_number = 1 and run > 'filled:filled:key-2'`,
  `update events set erased_at = now() where seq < 2000`,
];

describe('indexes', function () {
  this.timeout(120_000);
  let journal: ExplainedJournal;

  before(async () => {
    journal = await openExplained(await (await sharedPostgres()).createDatabase());
    await fillJournal(journal.pool, 20_000);
    const { append } = makeAppender(journal.database);
    await append(Array.from({ length: 200 }, () => freshRun().entry()));
    await append([
      {
        ...freshRun().entry(),
        deliveries: [
          {
            ...target('limited', unique('key')),
            limitKeys: { concurrency: 'a', throttle: 'b' },
          },
        ],
      },
      { ...freshRun().entry(), status: 'filtered' },
      accepted(event(), target('digest', key.run.split(':')[2] as string)),
      accepted(event({ tenantid: 'tiny' }), target('digest', unique('key'), 'tiny')),
    ]);
    for (const seed of SEEDS) await journal.pool.query(seed);
    await journal.pool.query('vacuum analyze');
  });
  after(() => journal?.close());

  it('serve each a question that is asked', async () => {
    const { rows } = await journal.pool.query<{ name: string }>(`
      select relname as name
      from pg_index join pg_class on pg_class.oid = indexrelid
      where relnamespace = 'public'::regnamespace and not relispartition
        and relname not like 'kysely%'`);
    assert.deepEqual(rows.map(({ name }) => name).sort(), Object.keys(SERVES).sort());
    const used = await indexesByQuestion();
    for (const [index, question] of Object.entries(SERVES)) {
      assert.ok(used.get(question)?.has(index), `${index} does not serve ${question}`);
    }
  });

  it('leave no question that reads a whole table', async () => {
    const small = new Set(['lanes', 'dispatchers', 'swept_days']);
    for (const [question, ask] of Object.entries(ASKED)) {
      for (const node of (await journal.plansOf(ask)).flatMap(nodesOf)) {
        const isWhole = node['Node Type'] === 'Seq Scan' && !small.has(node['Relation Name'] ?? '');
        assert.ok(!isWhole, `${question} reads all of ${node['Relation Name']}`);
      }
    }
  });

  async function indexesByQuestion(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const used = new Map<string, ReadonlySet<string>>();
    for (const [question, ask] of Object.entries(ASKED)) {
      const nodes = (await journal.plansOf(ask)).flatMap(nodesOf);
      const names = nodes.flatMap((node) => [
        ...(node['Index Name'] === undefined ? [] : [node['Index Name']]),
        ...(node['Conflict Arbiter Indexes'] ?? []),
      ]);
      // That of a partition is named after it.
      used.set(question, new Set(names.map((name) => name.replace(/_(\d{8}|default)(?=_)/, ''))));
    }
    return used;
  }
});
