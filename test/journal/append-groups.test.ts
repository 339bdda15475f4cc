import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type KyselyPlugin, sql } from 'kysely';
import pg from 'pg';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import type { AppendEntry } from '../../src/journal/deliveries.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { until } from '../support/wait.ts';
import { sharedPostgres } from './both-databases.ts';
import { accepted, event, freshRun, numbersOf, oneTo, target, unique } from './entries.ts';
import { nodesOf, openExplained } from './explained.ts';

const NO_OPTIONS = { sealing: NO_SEALING, logger: undefined };

/** Counts what is sent to the database. */
function countingStatements(database: JournalDatabase) {
  let sent = 0;
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      sent += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return { database: database.withPlugin(plugin), sent: () => sent };
}

describe('Group commit', () => {
  let database: JournalDatabase;
  before(async () => {
    database = await openEmbeddedDatabase(undefined, NO_SEALING);
  });
  after(() => database.destroy());

  it('sends one statement for each group, and all that came meanwhile is one group', async () => {
    const counting = countingStatements(database);
    const appender = makeAppender(counting.database);
    const append = (index: number) =>
      appender.append([accepted(event(), target('digest', `${unique('key')}-${index % 7}`))]);
    const results = await Promise.all(Array.from({ length: 200 }, (_, index) => append(index)));
    assert.ok(results.flat().every(({ status }) => status === 'accepted'));
    // The first finds nobody ahead and goes alone.
    assert.equal(counting.sent(), 2);
    await append(0);
    assert.equal(counting.sent(), 3);
    await appender.close();
  });

  it('writes no index of runs for more to a run that has something to send', async function () {
    this.timeout(60_000);
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    const server = await openServerDatabase(databaseUrl, NO_OPTIONS);
    const { append } = makeAppender(server);
    const { entry } = freshRun();
    for (let nth = 0; nth <= 50; nth += 1) await append([entry()]);
    // A connection tells what it has done when it has been idle for a while.
    const { updates, hot } = await until('the updates to be counted', async () => {
      const { rows } = await sql<{ readonly updates: number; readonly hot: number }>`
        select n_tup_upd::int as updates, n_tup_hot_upd::int as hot
        from pg_stat_user_tables where relname = 'runs'`.execute(server);
      return rows.find((row) => row.updates >= 50);
    });
    // One that finds its page full goes to another.
    assert.ok(hot >= 49, `${hot} of ${updates} wrote no index`);
    await server.destroy();
  });

  it('goes through the events of a group once for each step, not once for each event', async function () {
    this.timeout(60_000);
    const journal = await openExplained(await (await sharedPostgres()).createDatabase());
    const group = Array.from({ length: 300 }, () => accepted(event(), target('digest', 'key')));
    try {
      const plans = await journal.plansOf((to) => makeAppender(to).append(group));
      assert.equal(plans.length, 1);
      const loops = plans.flatMap(nodesOf).filter((node) => node['Node Type'] === 'Nested Loop');
      // A loop whose inner side is an index looks each event up; any other goes through all of them again.
      const quadratic = loops.filter(({ Plans }) => !Plans?.[1]?.['Node Type'].startsWith('Index'));
      assert.deepEqual(quadratic, []);
    } finally {
      await journal.close();
    }
  });
});

describe('Groups that are committed beside each other', () => {
  let databaseUrl: string;
  let database: JournalDatabase;
  before(async () => {
    databaseUrl = await (await sharedPostgres()).createDatabase();
    database = await openServerDatabase(databaseUrl, NO_OPTIONS);
  });
  after(() => database.destroy());

  it('have no run in common: one that waits holds up its own runs only', async () => {
    const { append } = makeAppender(database, { groupsAtOnceMax: 2 });
    const [held, beside] = [freshRun(), freshRun()];
    await append([held.entry()]);
    const lock = new pg.Client({ connectionString: databaseUrl });
    await lock.connect();
    try {
      await lock.query('begin');
      await lock.query('select from runs where run = $1 for update', [held.run]);
      const order: string[] = [];
      const told = (name: string, entries: AppendEntry[]) =>
        append(entries).then((results) => {
          order.push(name);
          return numbersOf(results);
        });
      const second = told('second', [held.entry()]);
      // Of the held run too: it must not be before the second, nor what comes after it of its other run.
      const third = told('third', [held.entry(), beside.entry()]);
      const fourth = told('fourth', [beside.entry()]);
      await Promise.all(Array.from({ length: 16 }, () => append([freshRun().entry()])));
      assert.deepEqual(order, []);
      await lock.query('rollback');
      assert.deepEqual(await Promise.all([second, third, fourth]), [[2], [3, 1], [2]]);
    } finally {
      await lock.end();
    }
  });

  it('number the events of each run in the order in which they came', async function () {
    this.timeout(60_000);
    const key = fc.integer({ min: 0, max: 12 });
    const keys = fc.uniqueArray(key, { minLength: 1, maxLength: 3 });
    const call = fc.record({
      keys,
      isAwaited: fc.integer({ min: 0, max: 24 }).map((n) => n === 0),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 60, maxLength: 150 }), async (calls) => {
        const { append } = makeAppender(database, { groupsAtOnceMax: 2 });
        const flow = unique('flow');
        const given = [];
        for (const each of calls) {
          const targets = each.keys.map((n) => target(flow, `${n}`));
          const answer = append([accepted(event(), ...targets)]);
          given.push(answer);
          if (each.isAwaited) await answer;
        }
        const results = (await Promise.all(given)).flat();
        for (const { run } of new Set(
          calls.flatMap((each) => each.keys.map((n) => target(flow, `${n}`))),
        )) {
          const numbers = results.flatMap(({ deliveries }) =>
            deliveries.filter((delivery) => delivery.run === run).map(({ number }) => number),
          );
          assert.deepEqual(numbers, oneTo(numbers.length));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('are all committed before it is closed', async () => {
    const appender = makeAppender(database, { groupsAtOnceMax: 2 });
    const given = Promise.all(
      Array.from({ length: 100 }, () => appender.append([freshRun().entry()])),
    );
    await appender.close();
    assert.equal((await given).length, 100);
  });
});
