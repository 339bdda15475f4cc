import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import type { RunId } from '../../src/model/run.ts';
import { onBothDatabases } from './both-databases.ts';
import { ALL_LANES, freshRun, oneTo, target, unique } from './entries.ts';

onBothDatabases('what runs write', ({ shared }) => {
  let journal: Journal;
  before(async () => {
    journal = await shared();
  });

  const open = (run: RunId, firstNumber: number, workflowRunId = 'execution-1') =>
    journal.activities['journal.open']({ run, workflowRunId, firstNumber });
  const settle = (run: RunId, through: number, workflowRunId = 'execution-1') =>
    journal.activities['journal.settle']({ run, workflowRunId, through, outcome: 'completed' });
  const park = (run: RunId, parkId: string) =>
    journal.activities['journal.park']({
      run,
      workflowRunId: 'execution-1',
      parkId,
      step: 'slack.postMessage',
      errorClass: 'persistent',
      reason: 'the token was refused',
    });
  const decision = { action: 'retry', reason: 'token renewed', actor: 'ada' } as const;
  const resume = (run: RunId, parkId: string) =>
    journal.activities['journal.resume']({ run, parkId, decision });
  const found = async (run: RunId) => {
    const row = await journal.findRun(run);
    assert.ok(row !== undefined);
    return row;
  };
  const ranges = async (run: RunId) =>
    (await found(run)).settlements.map(({ fromNumber, throughNumber, outcome, workflowRunId }) => [
      fromNumber,
      throughNumber,
      outcome,
      workflowRunId,
    ]);

  it('settles a window and tells what it was', async () => {
    const { run, entry } = freshRun();
    const sent = oneTo(3).map(() => entry());
    await journal.append(sent);
    assert.deepEqual(await open(run, 1), { settledThrough: 0 });
    const window = { count: 2, closedBy: 'quiet', firstAt: 1, lastAt: 2 };
    await journal.activities['journal.settle']({
      run,
      workflowRunId: 'execution-1',
      through: 2,
      outcome: 'completed',
      window,
      result: { text: 'NUL \0, half \ud83d a pair' },
    });
    const row = await found(run);
    const { status, acceptedThrough, sentThrough, settledThrough } = row;
    assert.deepEqual(
      { status, acceptedThrough, sentThrough, settledThrough },
      // Settled before the dispatcher could note that it had sent them.
      { status: 'open', acceptedThrough: 3, sentThrough: 2, settledThrough: 2 },
    );
    const [settlement] = row.settlements;
    assert.deepEqual(settlement?.window, window);
    assert.deepEqual(settlement?.result, { text: 'NUL \0, half \ud83d a pair' });
    const states = [];
    for (const { event } of sent) {
      const [kept] = await journal.findEvents(event.tenantid, event.id);
      states.push(kept?.deliveries.map(({ state }) => state));
    }
    assert.deepEqual(states, [['settled'], ['settled'], ['pending']]);
    await settle(run, 3);
    assert.equal((await found(run)).status, 'settled');
  });

  it('settles once, however often and in whatever order it is told', async () => {
    const { run, entry } = freshRun();
    await journal.append(oneTo(5).map(() => entry()));
    await open(run, 1);
    await settle(run, 2);
    await Promise.all(oneTo(5).map(() => settle(run, 4)));
    await settle(run, 2);
    await settle(run, 4);
    assert.deepEqual(await ranges(run), [
      [1, 2, 'completed', 'execution-1'],
      [3, 4, 'completed', 'execution-1'],
    ]);
  });

  it('settles as lost what an earlier execution took and never settled', async () => {
    const { run, entry } = freshRun();
    await journal.append(oneTo(6).map(() => entry()));
    await open(run, 1, 'execution-1');
    await settle(run, 2, 'execution-1');
    assert.deepEqual(await open(run, 5, 'execution-2'), { settledThrough: 4 });
    assert.deepEqual(await open(run, 5, 'execution-2'), { settledThrough: 4 });
    await settle(run, 6, 'execution-2');
    assert.deepEqual(await ranges(run), [
      [1, 2, 'completed', 'execution-1'],
      [3, 4, 'lost', 'execution-1'],
      [5, 6, 'completed', 'execution-2'],
    ]);
  });

  it('tells an execution that gets old deliveries again what is settled', async () => {
    const { run, entry } = freshRun();
    await journal.append(oneTo(4).map(() => entry()));
    await open(run, 1);
    await settle(run, 3);
    assert.deepEqual(await open(run, 2, 'execution-2'), { settledThrough: 3 });
    const row = await found(run);
    assert.equal(row.workflowRunId, 'execution-2');
    assert.ok(row.openedAt !== undefined);
  });

  it('opens and settles a run that this journal has never heard of', async () => {
    const { run } = target('digest', unique('stranger'));
    assert.deepEqual(await open(run, 8), { settledThrough: 7 });
    await settle(run, 9);
    const { acceptedThrough, sentThrough, settledThrough } = await found(run);
    assert.deepEqual([acceptedThrough, sentThrough, settledThrough], [9, 9, 9]);
  });

  it('shows a parked run until a person decides, and then what was decided', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await open(run, 1);
    await park(run, 'park-1');
    await park(run, 'park-1');
    const parked = await found(run);
    assert.equal(parked.status, 'parked');
    assert.equal(parked.park?.step, 'slack.postMessage');
    assert.equal(parked.park?.decision, undefined);

    await resume(run, 'park-1');
    await resume(run, 'park-1');
    await park(run, 'park-1');
    const resumed = await found(run);
    assert.equal(resumed.status, 'open');
    assert.deepEqual(resumed.park?.decision, decision);
    assert.ok(resumed.park?.decidedAt !== undefined);
  });

  it('stays parked while another step of the run waits for a person', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await park(run, 'park-1');
    await park(run, 'park-2');
    await resume(run, 'park-2');
    assert.equal((await found(run)).status, 'parked');
    assert.equal((await found(run)).park?.parkId, 'park-1');
    await resume(run, 'park-1');
    assert.equal((await found(run)).status, 'open');
  });

  it('takes a parked run that is lost off the list of those who wait', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    await park(run, 'park-1');
    await journal.append([entry()]);
    assert.equal((await found(run)).status, 'parked');
    await journal.settleLost(run, 2, 'terminated from the Temporal Web UI');
    const lost = await found(run);
    assert.equal(lost.status, 'settled');
    assert.equal(lost.settlements[0]?.reason, 'terminated from the Temporal Web UI');
    const letters = (await journal.listDeadLetters({ limit: 500 })).rows;
    const kinds = letters.flatMap((letter) =>
      'run' in letter && letter.run === run ? [letter.kind] : [],
    );
    assert.deepEqual(kinds, ['lost']);
  });

  it('gives out runs that nobody has touched, each once in that time', async () => {
    const { run, entry } = freshRun();
    const quiet = async (idleMs: number) =>
      (await journal.doubtfulRuns(ALL_LANES, idleMs, 1_000)).some((row) => row.run === run);
    await journal.append([entry(), entry()]);
    assert.equal(await quiet(0), false, 'nothing was sent yet');
    const holder = unique('holder');
    await journal.leaseLanes(holder, 60_000);
    await journal.markSent(holder, [{ run, through: 1 }]);
    await journal.releaseLanes(holder);
    assert.equal(await quiet(600_000), false, 'touched a moment ago');
    assert.equal(await quiet(0), true);
    assert.equal(await quiet(600_000), false, 'given out a moment ago');
    await park(run, 'park-1');
    assert.equal(await quiet(0), true, 'a parked run may have been terminated');
    await resume(run, 'park-1');
    await settle(run, 1);
    assert.equal(await quiet(0), false, 'all that was sent is settled');
  });

  it('keeps what a fake would have sent once per idempotency key', async () => {
    const { run } = freshRun();
    const entry = {
      idempotencyKey: unique('key'),
      connector: 'slack',
      operation: 'postMessage',
      run,
      input: { text: 'hello \0' },
    };
    const kept = await Promise.all(oneTo(5).map(() => journal.recordOutbox(entry)));
    assert.equal(kept.filter(Boolean).length, 1);
    const { rows } = await journal.listOutbox({ run }, {});
    assert.deepEqual(
      rows.map(({ recordedAt: _, ...row }) => row),
      [entry],
    );
  });
});
