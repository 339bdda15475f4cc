import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { runLane } from '../../src/journal/lanes.ts';
import { until } from '../support/wait.ts';
import { onBothDatabases } from './both-databases.ts';
import { ALL_LANES, accepted, event, freshRun, oneTo, target, unique } from './entries.ts';

const LONG_MS = 600_000;

describe('the lane of a run', () => {
  it('is one of the lanes and never changes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (run) => {
        assert.ok(ALL_LANES.includes(runLane(run)));
      }),
    );
    // Stored with each run: a different hash would leave runs of two versions in different lanes.
    assert.deepEqual(
      ['', 'a', 'digest:acme:deal-1', 'digest:acme:取引'].map(runLane),
      [5, 44, 63, 42],
    );
  });

  it('spreads runs over all lanes', () => {
    const lanes = new Set(oneTo(2_000).map((key) => runLane(`digest:acme:deal-${key}`)));
    assert.equal(lanes.size, LANES);
  });
});

onBothDatabases('leasing lanes', ({ fresh }) => {
  let journal: Journal;
  before(async () => {
    journal = await fresh();
  });
  const [first, second] = ['first', 'second'] as const;
  afterEach(async () => {
    await journal.releaseLanes(first);
    await journal.releaseLanes(second);
  });

  it('gives every lane to one holder, who keeps them by renewing', async () => {
    assert.deepEqual((await journal.leaseLanes(first, LONG_MS)).lanes, ALL_LANES);
    assert.deepEqual((await journal.leaseLanes(second, LONG_MS)).lanes, []);
    assert.deepEqual((await journal.leaseLanes(first, LONG_MS)).lanes, ALL_LANES);
  });

  it('divides the lanes between holders who ask at the same time', async () => {
    const [mine, yours] = await Promise.all([
      journal.leaseLanes(first, LONG_MS),
      journal.leaseLanes(second, LONG_MS),
    ]);
    assert.deepEqual(
      [...mine.lanes, ...yours.lanes].sort((a, b) => a - b),
      ALL_LANES,
    );
  });

  it('tells a holder of more than its share, which others get when it gives them up', async () => {
    await journal.leaseLanes(first, LONG_MS);
    assert.deepEqual(await journal.leaseLanes(second, LONG_MS), { lanes: [], share: 32 });
    const { lanes, share } = await journal.leaseLanes(first, LONG_MS);
    assert.deepEqual([lanes, share], [ALL_LANES, 32]);
    await journal.releaseLanes(first, ALL_LANES.slice(0, 20));
    assert.deepEqual((await journal.leaseLanes(second, LONG_MS)).lanes, ALL_LANES.slice(0, 20));
    await journal.releaseLanes(first, ALL_LANES.slice(20, 40));
    assert.equal((await journal.leaseLanes(first, LONG_MS)).lanes.length, 32);
    assert.equal((await journal.leaseLanes(second, LONG_MS)).lanes.length, 32);
  });

  it('counts a holder no more that has ended', async () => {
    await journal.leaseLanes(first, LONG_MS);
    await journal.leaseLanes(second, LONG_MS);
    await journal.releaseLanes(first);
    assert.deepEqual(await journal.leaseLanes(second, LONG_MS), { lanes: ALL_LANES, share: 64 });
  });

  it('gives back no lane of another holder', async () => {
    await journal.leaseLanes(first, LONG_MS);
    await journal.releaseLanes(second, ALL_LANES);
    assert.deepEqual((await journal.leaseLanes(first, LONG_MS)).lanes, ALL_LANES);
  });

  it('gives released lanes to the next who asks', async () => {
    await journal.leaseLanes(first, LONG_MS);
    await journal.releaseLanes(first);
    assert.deepEqual((await journal.leaseLanes(second, LONG_MS)).lanes, ALL_LANES);
  });

  it('lets another take over the lanes of a holder who stopped renewing', async () => {
    await journal.leaseLanes(first, 30);
    const deadline = Date.now() + 10_000;
    let taken = await journal.leaseLanes(second, LONG_MS);
    while (taken.lanes.length === 0 && Date.now() < deadline) {
      await sleep(10);
      taken = await journal.leaseLanes(second, LONG_MS);
    }
    assert.deepEqual(taken.lanes, ALL_LANES);
    assert.deepEqual((await journal.leaseLanes(first, LONG_MS)).lanes, []);
  });

  it('takes a note that deliveries were sent only from the holder of their lane', async () => {
    const { run, entry } = freshRun();
    await journal.append(oneTo(3).map(() => entry()));
    const sentThrough = async () => (await journal.findRun(run))?.sentThrough;
    await journal.markSent(first, [{ run, through: 1 }]);
    assert.equal(await sentThrough(), 0);
    await journal.leaseLanes(first, LONG_MS);
    await journal.markSent(first, [
      { run, through: 2 },
      { run, through: 1 },
    ]);
    assert.equal(await sentThrough(), 2);
    await journal.markSent(first, [{ run, through: 1 }]);
    assert.equal(await sentThrough(), 2);
    await journal.releaseLanes(first);
    await journal.leaseLanes(second, LONG_MS);
    await journal.markSent(first, [{ run, through: 3 }]);
    assert.equal(await sentThrough(), 2);
    await journal.markSent(second, [{ run, through: 3 }]);
    assert.equal(await sentThrough(), 3);
  });

  it('takes from the note of a first delivery which execution has it, and from no later one', async () => {
    const { run, entry } = freshRun();
    await journal.append(oneTo(3).map(() => entry()));
    await journal.leaseLanes(first, LONG_MS);
    await journal.markSent(first, [{ run, through: 1, execution: 'the-first' }]);
    const row = await journal.findRun(run);
    assert.equal(row?.workflowRunId, 'the-first');
    assert.ok(row.openedAt !== undefined);
    await journal.markSent(first, [{ run, through: 3, execution: 'another' }]);
    assert.equal((await journal.findRun(run))?.workflowRunId, 'the-first');
  });

  it('takes from the first settlement which execution was the first when it was not noted in time', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await journal.leaseLanes(first, LONG_MS);
    await journal.activities['journal.settle']({
      run,
      through: 1,
      outcome: 'completed',
      workflowRunId: 'the-first',
    });
    await journal.markSent(first, [{ run, through: 1, execution: 'too-late' }]);
    assert.equal((await journal.findRun(run))?.workflowRunId, 'the-first');
  });

  it('lists the runs with deliveries to send, the longest waiting first', async () => {
    const runs = oneTo(4).map(() => freshRun(unique('flow').replace('-', '_')));
    for (const { entry } of runs) await journal.append([entry(), entry()]);
    await journal.leaseLanes(first, LONG_MS);
    const pending = async (lanes = ALL_LANES, limit = 10) =>
      (await journal.pendingRuns(lanes, limit)).map(({ run }) =>
        runs.findIndex((of) => of.run === run),
      );
    assert.deepEqual(await pending(), [0, 1, 2, 3]);
    assert.deepEqual(await pending(ALL_LANES, 2), [0, 1]);
    assert.deepEqual(await pending([]), []);

    const [one, two, three] = runs;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    assert.ok((await pending([runLane(three.run)])).includes(2));
    const others = ALL_LANES.filter((lane) => lane !== runLane(three.run));
    assert.ok(!(await pending(others)).includes(2));

    await journal.append([one.entry()]);
    await journal.markSent(first, [
      // Its third event came last of all.
      { run: one.run, through: 2 },
      { run: two.run, through: 2 },
    ]);
    assert.deepEqual(await pending(), [2, 3, 0]);
    const backlog = await journal.backlog();
    assert.equal(backlog.runs, 3);
    assert.ok(backlog.oldestAgeMs >= 0);
  });

  it('lists the oldest run of each tenant before the second of any', async () => {
    const alone = await fresh();
    for (const [tenant, runs] of [
      ['many', 30],
      ['one', 1],
      ['two', 2],
    ] as const) {
      for (const key of oneTo(runs)) {
        await alone.append([
          accepted(event({ tenantid: tenant }), target('flow', `key-${key}`, tenant)),
        ]);
      }
    }
    const pending = async (limit: number) =>
      (await alone.pendingRuns(ALL_LANES, limit)).map(({ tenant, key }) => `${tenant}/${key}`);
    assert.deepEqual(await pending(4), ['many/key-1', 'one/key-1', 'two/key-1', 'many/key-2']);
    assert.deepEqual(await pending(6), [
      ...['many/key-1', 'one/key-1', 'two/key-1'],
      ...['many/key-2', 'two/key-2', 'many/key-3'],
    ]);
    assert.equal((await pending(100)).length, 33);
    assert.deepEqual(await pending(0), []);
  });

  it('notes why deliveries could not be sent until they are', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await journal.leaseLanes(first, LONG_MS);
    await journal.markDispatchFailed(run, 'Temporal said \0 no');
    assert.equal((await journal.findRun(run))?.dispatchError, 'Temporal said \ufffd no');
    await journal.markSent(first, [{ run, through: 1 }]);
    assert.equal((await journal.findRun(run))?.dispatchError, undefined);
  });

  it('notes why the code of a run fails until it does not, and keeps why something is not sent', async () => {
    const { run, entry } = freshRun();
    const errorAfterRecovery = async () => {
      await journal.markDispatchFailed(run, 'an error');
      await journal.markRecovered(run);
      return (await journal.findRun(run))?.dispatchError;
    };
    await journal.append([entry(), entry()]);
    await journal.leaseLanes(first, LONG_MS);
    await journal.markSent(first, [{ run, through: 1 }]);
    assert.equal(await errorAfterRecovery(), 'an error');
    await journal.markSent(first, [{ run, through: 2 }]);
    assert.equal(await errorAfterRecovery(), undefined);
  });
});

onBothDatabases('waking the dispatchers', ({ fresh }) => {
  it('tells every listener which lanes have something to send', async () => {
    const journal = await fresh();
    const woken: (readonly number[])[] = [];
    journal.onWake((lanes) => woken.push(lanes));
    journal.onWake((lanes) => woken.push(lanes));
    // It listens from when its connection stands.
    await until('both are told', async () => {
      await journal.wake([3, 41]);
      return woken.length >= 2;
    });
    for (const lanes of woken) assert.deepEqual(lanes, [3, 41]);
  });
});
