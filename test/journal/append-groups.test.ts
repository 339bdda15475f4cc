import assert from 'node:assert/strict';
import { type KyselyPlugin, sql } from 'kysely';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { until } from '../support/wait.ts';
import { sharedPostgres } from './both-databases.ts';
import { accepted, event, freshRun, target, unique } from './entries.ts';
import { nodesOf, openExplained } from './explained.ts';

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
    const server = await openServerDatabase(databaseUrl, {
      sealing: NO_SEALING,
      logger: undefined,
    });
    try {
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
    } finally {
      await server.destroy();
    }
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
