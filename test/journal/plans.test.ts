import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { fillJournal } from '../../bench/fill-journal.ts';
import { makeAppender } from '../../src/journal/append.ts';
import { backlog } from '../../src/journal/backlog.ts';
import { deliveriesAfter } from '../../src/journal/dispatch-queries.ts';
import { eventsBySeq, isRecent } from '../../src/journal/event-data.ts';
import { listEvents } from '../../src/journal/event-queries.ts';
import { settle } from '../../src/journal/settle.ts';
import { sharedPostgres } from './both-databases.ts';
import { freshRun } from './entries.ts';
import { type ExplainedJournal, nodesOf, openExplained, type Plan } from './explained.ts';

const bounds = { count: 500, bytes: 1e9 };

describe('the cost of', function () {
  this.timeout(120_000);
  let journal: ExplainedJournal;
  before(async () => {
    journal = await openExplained(await (await sharedPostgres()).createDatabase());
    await fillJournal(journal.pool, 20_000);
  });
  after(() => journal?.close());

  const partitionsIn = (plans: readonly Plan[]): ReadonlySet<string> =>
    new Set(
      plans
        .flatMap(nodesOf)
        .flatMap(({ 'Relation Name': name }) => (name?.startsWith('event_data') ? [name] : [])),
    );
  const blocksOf = (plans: readonly Plan[]): number =>
    plans.reduce(
      (sum, plan) => sum + (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0),
      0,
    );

  it('handing over deliveries is that of two days at most, however many are kept', async () => {
    const { run, entry } = freshRun();
    await makeAppender(journal.database).append([entry(), entry()]);
    const plans = await journal.plansOf((database) => deliveriesAfter(database, run, 0, bounds));
    assert.equal(plans.length, 1, 'new deliveries are read at once');
    const days = partitionsIn(plans);
    assert.ok(days.size >= 1 && days.size <= 2, [...days].join());
  });

  it('which are two at any time of day', () => {
    const dayMs = 86_400_000;
    for (let atMs = 0; atMs < dayMs; atMs += 60_000) {
      const { parameters } = isRecent(1_700_000_000_000 + atMs).compile(journal.database);
      const [from, until] = parameters.map((at) => (at as Date).getTime());
      assert.ok(from !== undefined && until !== undefined);
      const days = Math.floor((until - 1) / dayMs) - Math.floor(from / dayMs) + 1;
      assert.ok(days <= 2, `${days} days at ${new Date(atMs).toISOString()}`);
    }
  });

  it('reading what is older is that of the days it is from', async () => {
    const plans = await journal.plansOf((database) => eventsBySeq(database, [40]));
    assert.equal(partitionsIn(plans).size, 1);
    const page = await journal.plansOf((database) => listEvents(database, {}, { after: '50' }));
    assert.equal(partitionsIn(page).size, 1);
  });

  it('planning is paid once for each connection', async () => {
    const { database } = journal;
    for (let nth = 1; nth <= 4; nth += 1) {
      const { run, entry } = freshRun();
      await makeAppender(database).append(Array.from({ length: nth }, () => entry()));
      await deliveriesAfter(database, run, 0, { ...bounds, count: nth });
      await settle(database, { run, through: 1, outcome: nth % 2 === 0 ? 'lost' : 'completed' });
    }
    const { rows } = await sql<{ begin: string; times: number }>`
      select substring(statement from '(?:from|into|update) (\\w+)') as begin,
        (generic_plans + custom_plans)::int as times
      from pg_prepared_statements order by begin`.execute(database);
    assert.deepEqual(
      rows.map(({ times }) => times >= 4),
      [true, true, true],
      JSON.stringify(rows),
    );
  });

  it('looking at the backlog does not grow with it', async () => {
    const blocks: number[] = [];
    for (const runs of [12_000, 60_000]) {
      await journal.pool.query(
        `insert into runs (run, flow, tenant, key, lane, accepted_through, status, pending_since)
        select 'waits:acme:' || n, 'waits', 'acme', n, n % 64, 1, 'open', now() + n * interval '1 ms'
        from generate_series(1, $1::int) as n
        on conflict do nothing`,
        [runs],
      );
      await journal.pool.query('vacuum analyze runs');
      blocks.push(blocksOf(await journal.plansOf(backlog, true)));
    }
    const [few = 0, many = 0] = blocks;
    assert.ok(many <= few * 1.2, `${few} blocks of 12,000 runs, ${many} of 60,000`);
  });
});
