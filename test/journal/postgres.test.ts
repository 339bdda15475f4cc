import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppendResult } from '../../src/journal/deliveries.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { execute, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { ALL_LANES, freshRun, numbersOf, oneTo } from './entries.ts';

describe('several journals on one PostgreSQL server', function () {
  this.timeout(60_000);
  let server: TestPostgres;
  let databaseUrl: string;
  const journals: Journal[] = [];
  before(async () => {
    server = await startPostgres();
    databaseUrl = await server.createDatabase();
  });
  after(async () => {
    await Promise.all(journals.map((journal) => journal.close()));
    await server.remove();
  });
  const open = async (url = databaseUrl) => {
    const journal = await openJournal({ databaseUrl: url });
    journals.push(journal);
    return journal;
  };

  it('can be opened at the same time on an empty database', async () => {
    const opened = await Promise.all([open(), open(), open()]);
    await Promise.all(opened.map((journal) => journal.ping()));
  });

  it('number the deliveries of a run without gaps', async () => {
    const [one, two] = [await open(), await open()];
    const { run, entry } = freshRun();
    const calls = await Promise.all(
      oneTo(100).map((nth) => (nth % 2 === 0 ? one : two).append([entry(), entry()])),
    );
    const numbers = calls.flatMap(numbersOf).sort((a, b) => a - b);
    assert.deepEqual(numbers, oneTo(200));
    const kept = await one.deliveriesAfter(run, 0, { count: 500, bytes: 10_000_000 });
    assert.deepEqual(
      kept.map(({ number }) => number),
      oneTo(200),
    );
    const sent = new Map(calls.flat().map((result) => [result.deliveries[0]?.number, result]));
    for (const { number, event } of kept) {
      assert.equal(sent.get(number)?.correlationId, event.correlationid);
    }
  });

  it('accept an event once and answer alike, when both get it', async () => {
    const [one, two] = [await open(), await open()];
    const { entry } = freshRun();
    for (const same of oneTo(40).map(() => entry())) {
      const results = (
        await Promise.all([one.append([same]), two.append([same]), one.append([same])])
      ).flat();
      const accepted = results.filter(({ status }) => status === 'accepted');
      assert.equal(accepted.length, 1);
      for (const { status: _, ...answer } of results) {
        const { status: __, ...first } = accepted[0] as AppendResult;
        assert.deepEqual(answer, first);
      }
    }
  });

  it('wait for the disk with what they take in, and not with how far a run was sent', async () => {
    const one = await open();
    await one.leaseLanes('disk', 60_000);
    const { run, entry } = freshRun();
    let through = 0;
    const written = async () => {
      const [row] = await execute(
        databaseUrl,
        'select pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() as is_flushed',
      );
      return row?.is_flushed === true;
    };
    // What else the server writes by itself may come between.
    await until('what was taken in to be on the disk', async () => {
      await one.append([entry()]);
      through += 1;
      return written();
    });
    await until('what was sent not to be on the disk yet', async () => {
      await one.append([entry()]);
      through += 1;
      await one.markSent('disk', [{ run, through }]);
      return !(await written());
    });
    assert.equal((await one.findRun(run))?.sentThrough, through);
    await one.releaseLanes('disk');
  });

  it('never wait for each other in a circle when they count the same duplicates', async () => {
    const [one, two] = [await open(), await open()];
    const { entry } = freshRun();
    const same = oneTo(LIMITS.appendGroupEventsMax).map(() => entry());
    await one.append(same);
    await Promise.all(
      oneTo(15).flatMap((nth) => [
        one.append([...same.slice(nth), ...same.slice(0, nth)]),
        two.append([...same.slice(nth), ...same.slice(0, nth)].reverse()),
      ]),
    );
    const [found] = await one.findEvents('acme', same[0]?.event.id ?? '');
    assert.equal(found?.duplicates, 30);
  });

  it('never wait for each other in a circle when they write to the same runs', async () => {
    const [one, two] = [await open(), await open()];
    await one.leaseLanes('one', 60_000);
    const runs = oneTo(20).map(() => freshRun());
    const entries = () => runs.map(({ entry }) => entry());
    const marks = runs.map(({ run }) => ({ run, through: 1 }));
    await Promise.all(
      oneTo(60).flatMap(() => [
        one.append(entries()),
        two.append(entries().reverse()),
        one.markSent('one', marks),
        one.markSent('one', [...marks].reverse()),
        two.doubtfulRuns(ALL_LANES, 0, 100),
      ]),
    );
    await one.markSent('one', marks);
    for (const { run } of runs) {
      const row = await two.findRun(run);
      assert.deepEqual([row?.acceptedThrough, row?.sentThrough], [120, 1]);
    }
    await one.releaseLanes('one');
  });

  it('take over the lanes of one whose connection ends, however long its lease is', async () => {
    const url = await server.createDatabase();
    const [gone, heir] = [await openJournal({ databaseUrl: url }), await open(url)];
    gone.onWake(() => {});
    const isPresent = async (): Promise<boolean> => {
      const rows = await execute(url, 'select is_present from dispatchers');
      return rows.some((row) => row.is_present === true);
    };
    await until('the lock of the one', async () => {
      await gone.leaseLanes('gone', 3_600_000);
      return isPresent();
    });
    await heir.leaseLanes('heir', 3_600_000);
    assert.deepEqual((await heir.leaseLanes('heir', 3_600_000)).lanes, []);
    // As when its process is killed: nothing is given back.
    await gone.close();
    await until('its lanes', async () => {
      const { lanes } = await heir.leaseLanes('heir', 3_600_000);
      return lanes.length === ALL_LANES.length;
    });
  });

  it('leave the lanes of one that has never been present until its lease is over', async () => {
    const url = await server.createDatabase();
    const [silent, other] = [await open(url), await open(url)];
    await silent.leaseLanes('silent', 3_600_000);
    assert.deepEqual((await other.leaseLanes('other', 3_600_000)).lanes, []);
    assert.deepEqual((await silent.leaseLanes('silent', 3_600_000)).lanes, ALL_LANES);
  });
});

describe('a journal whose PostgreSQL server fails', function () {
  this.timeout(120_000);
  let server: TestPostgres;
  let journal: Journal;
  let databaseUrl: string;
  before(async () => {
    server = await startPostgres();
    databaseUrl = await server.createDatabase();
    journal = await openJournal({ databaseUrl });
  });
  after(async () => {
    await journal.close();
    await server.remove();
  });

  /** Answers once the journal does; the first connections after a restart may still break. */
  async function answersAgain(): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      try {
        return await journal.ping();
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(20);
      }
    }
  }

  for (const end of ['stop', 'kill'] as const) {
    it(`refuses appends while it is away (${end}) and takes them when it is back`, async () => {
      const { run, entry } = freshRun();
      const before = entry();
      await journal.append([before]);
      await server[end]();
      const away = await Promise.allSettled(oneTo(20).map(() => journal.append([entry()])));
      for (const outcome of away) {
        assert.equal(outcome.status, 'rejected');
        assert.equal(outcome.reason.code, 'journal_unavailable');
      }
      await assert.rejects(journal.ping(), { code: 'journal_unavailable' });
      await assert.rejects(
        journal.activities['journal.settle']({
          run,
          workflowRunId: 'execution-1',
          through: 1,
          outcome: 'completed',
        }),
        { code: 'journal_unavailable' },
      );
      await server.start();
      await answersAgain();
      const [again, next] = await journal.append([before, entry()]);
      assert.deepEqual([again?.status, next?.status], ['duplicate', 'accepted']);
      assert.deepEqual(numbersOf([again as AppendResult, next as AppendResult]), [1, 2]);
    });
  }

  it('keeps every acknowledged event when connections are cut in the middle of appends', async () => {
    const { run, entry } = freshRun();
    const acknowledged: number[] = [];
    let refused = 0;
    let cutting = true;
    const callers = oneTo(8).map(async () => {
      while (cutting) {
        try {
          acknowledged.push(...numbersOf(await journal.append([entry()])));
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'journal_unavailable');
          refused += 1;
        }
      }
    });
    try {
      const deadline = Date.now() + 60_000;
      while (refused < 10 && Date.now() < deadline) {
        await cutConnections(databaseUrl);
        await sleep(10);
      }
    } finally {
      // However the cuts ended: callers of a closed journal would never give way.
      cutting = false;
      await Promise.all(callers);
    }
    await answersAgain();
    assert.ok(refused >= 10, 'the cuts hit no append');
    const kept = new Set<number>();
    for (let after = 0; ; ) {
      const some = await journal.deliveriesAfter(run, after, { count: 500, bytes: 10_000_000 });
      for (const { number } of some) kept.add(number);
      const last = some.at(-1);
      if (last === undefined) break;
      after = last.number;
    }
    assert.deepEqual([...kept], oneTo(kept.size));
    assert.equal(new Set(acknowledged).size, acknowledged.length);
    for (const number of acknowledged) assert.ok(kept.has(number));
  });

  it('is not opened on a server that does not answer, and says so', async () => {
    await server.stop();
    await assert.rejects(openJournal({ databaseUrl }), { code: 'journal_unavailable' });
    await server.start();
    await answersAgain();
  });

  it('names no password when the URL is wrong', async () => {
    for (const wrong of [
      'mysql://root:s3cret@localhost/x',
      'postgres://u:s3cret@:::/x',
      's3cret',
    ]) {
      await assert.rejects(openJournal({ databaseUrl: wrong }), (error: Error) => {
        assert.equal((error as { code?: unknown }).code, 'config_invalid');
        assert.ok(!JSON.stringify([error.message, error]).includes('s3cret'));
        return true;
      });
    }
  });
});

async function cutConnections(databaseUrl: string): Promise<void> {
  await execute(
    databaseUrl,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'tidegate' and datname = current_database()`,
  );
}
