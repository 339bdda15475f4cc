import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { makeAppender } from '../../src/journal/append.ts';
import { openServerDatabase } from '../../src/journal/database.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING } from '../../src/journal/sealing.ts';
import { makeSettler } from '../../src/journal/settler.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { RunId } from '../../src/model/run.ts';
import { sharedPostgres } from './both-databases.ts';
import { freshRun, oneTo } from './entries.ts';

describe('settlements of many runs', () => {
  let database: JournalDatabase;
  before(async () => {
    const databaseUrl = await (await sharedPostgres()).createDatabase();
    database = await openServerDatabase(databaseUrl, { sealing: NO_SEALING, logger: undefined });
  });
  after(() => database?.destroy());

  const runs = async (count: number): Promise<readonly RunId[]> => {
    const fresh = oneTo(count).map(() => freshRun());
    await makeAppender(database).append(fresh.flatMap(({ entry }) => [entry(), entry()]));
    return fresh.map(({ run }) => run);
  };
  const through = (run: RunId, number: number, result?: string) =>
    ({
      run,
      workflowRunId: 'execution-1',
      through: number,
      outcome: 'completed',
      ...(result === undefined ? {} : { result }),
    }) as const;
  /** The runs that each commit settled, in the order of the commits. */
  const commits = async (of: readonly RunId[]): Promise<readonly (readonly RunId[])[]> => {
    const { rows } = await sql<{ readonly runs: readonly RunId[] }>`
      select array_agg(run order by run) as runs
      from settlements
      where run = any(${of})
      group by settlements.xmin::text
      order by min(seq)`.execute(database);
    return rows.map((row) => row.runs);
  };

  it('are committed together while one is committed', async () => {
    const { settle, close } = makeSettler(database);
    const [first, ...others] = await runs(50);
    assert.ok(first !== undefined);
    await Promise.all([first, ...others].map((run) => settle(through(run, 2))));
    assert.deepEqual(await commits([first, ...others]), [[first], others.toSorted()]);
    await close();
  });

  it('are committed one by one where few follow each other', async () => {
    const { settle, close } = makeSettler(database);
    const few = await runs(5);
    for (const run of few) await settle(through(run, 2));
    assert.equal((await commits(few)).length, few.length);
    await close();
  });

  it('wait for each other where many follow each other', async () => {
    const { settle, close } = makeSettler(database);
    const many = await runs(400);
    const settled: Promise<void>[] = [];
    for (const run of many) {
      settled.push(settle(through(run, 2)));
      await sleep(4);
    }
    await Promise.all(settled);
    const ofEach = (await commits(many)).map((group) => group.length);
    assert.ok(ofEach.length < 150, `${ofEach.length} commits of ${many.length}`);
    await close();
  });

  it('of one run follow each other', async () => {
    const { settle, close } = makeSettler(database);
    const [one, other] = (await runs(2)) as [RunId, RunId];
    await Promise.all([
      settle(through(other, 1)),
      settle(through(one, 1)),
      settle(through(one, 2)),
      settle(through(one, 2)),
    ]);
    const { rows } = await sql`
      select from_number::int, through_number::int from settlements where run = ${one} order by seq
    `.execute(database);
    assert.deepEqual(rows, [
      { from_number: 1, through_number: 1 },
      { from_number: 2, through_number: 2 },
    ]);
    await close();
  });

  it('that are asked for again while they wait are settled once, whatever was said the second time', async () => {
    const { settle, close } = makeSettler(database);
    const [first, run] = (await runs(2)) as [RunId, RunId];
    const settled = [settle(through(first, 2)), settle(through(run, 2))];
    const again = [
      settle(through(run, 2)),
      settle({ ...through(run, 2), outcome: 'aborted' as const }),
    ];
    assert.equal(settled[1], again[0]);
    await Promise.all([...settled, ...again]);
    const { rows } = await sql`select outcome from settlements where run = ${run}`.execute(
      database,
    );
    assert.deepEqual(rows, [{ outcome: 'completed' }]);
    await close();
  });

  it('are as many and as large in one commit as the limits say', async () => {
    const { settle, close } = makeSettler(database);
    const all = await runs(LIMITS.settleGroupMax + 2);
    const [first, ...others] = all;
    assert.ok(first !== undefined);
    await Promise.all([first, ...others].map((run) => settle(through(run, 1))));
    const byCount = (await commits(all)).map((group) => group.length);
    assert.deepEqual(byCount, [1, LIMITS.settleGroupMax, 1]);

    const large = 'x'.repeat(LIMITS.settleGroupBytesMax / 2);
    const few = all.slice(0, 4);
    await Promise.all(few.map((run) => settle(through(run, 2, large))));
    const { rows } = await sql<{ readonly count: number }>`
      select count(distinct xmin::text)::int as count
      from settlements
      where run = any(${few}) and from_number = 2`.execute(database);
    assert.equal(rows[0]?.count, 4, 'two of them are more than the bytes of one commit');
    await close();
  });

  it('are refused alone where their values cannot be kept', async () => {
    const { settle, close } = makeSettler(database);
    const all = await runs(8);
    const refused = 'digest:acme:\0' as RunId;
    const settled = [...all.slice(0, 4), refused, ...all.slice(4)].map((run) =>
      settle(through(run, 2)),
    );
    const outcomes = await Promise.allSettled(settled);
    assert.deepEqual(
      outcomes.map(({ status }) => status === 'fulfilled'),
      [...all.slice(0, 4).map(() => true), false, ...all.slice(4).map(() => true)],
    );
    assert.deepEqual((await commits(all)).flat().toSorted(), all.toSorted());
    await close();
  });

  it('that wait are committed at once when the journal closes, and none after', async () => {
    const { settle, close } = makeSettler(database);
    const all = await runs(5);
    const waiting = all.map((run) => settle(through(run, 2)));
    await close();
    await Promise.all(waiting);
    assert.deepEqual((await commits(all)).flat().toSorted(), all.toSorted());
    await assert.rejects(settle(through(all[0] as RunId, 2)), { code: 'journal_unavailable' });
  });
});
