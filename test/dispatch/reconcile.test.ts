import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { reconcile } from '../../src/dispatch/reconcile.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { silent, startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const LANE_NUMBERS = Array.from({ length: LANES }, (_, lane) => lane);

describe('looking for lost runs, on a real Temporal server', () => {
  let engine: TestEngine;
  let sent = 0;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
      operations: {
        'probe.act': async () => {
          throw ApplicationFailure.create({
            message: 'no',
            type: 'persistent',
            nonRetryable: true,
          });
        },
      },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  /** Looks at every run that has something unsettled, however short a time ago it was heard of. */
  const look = (options: { journal?: Journal; failingAttempts?: number } = {}) => {
    const { journal = engine.journal, ...rest } = options;
    const context = { journal, client: engine.client, logger: silent };
    return reconcile(context, LANE_NUMBERS, { idleMs: 0, ...rest });
  };
  const event = () => {
    sent += 1;
    return testEvent({ id: `e${sent}`, data: { n: sent } });
  };
  const send = async (flow: string, key: string, count = 1): Promise<RunId> => {
    for (let n = 0; n < count; n += 1) await engine.send(flow, key, event());
    const run = engine.run(flow, key);
    await until(`${run} sent`, async () => {
      const row = await engine.row(run);
      return row?.sentThrough === row?.acceptedThrough;
    });
    return run;
  };
  const collected = (run: RunId, count: number) =>
    until(`${run} with ${count} events in its window`, async () => {
      const view = await handle(run)
        .query<RunView>('run')
        .catch(() => undefined);
      return view?.waitingFor?.endsWith(`${count} so far`);
    });
  const handle = (run: RunId) => engine.client.workflow.getHandle(run);
  const flush = (run: RunId) =>
    handle(run).executeUpdate('decide', {
      args: [{ action: 'flush', reason: 'because', actor: 'tester' }],
    });
  const settlements = async (run: RunId, journal = engine.journal) =>
    (await journal.findRun(run))?.settlements.map(({ fromNumber, throughNumber, outcome }) => [
      fromNumber,
      throughNumber,
      outcome,
    ]);
  const lostLetters = async (run: RunId, journal = engine.journal) => {
    const { rows } = await journal.listDeadLetters({ limit: 500 });
    return rows.filter((row) => row.kind === 'lost' && row.run === run);
  };
  /** However often it is looked at, there is one settlement and one dead letter. */
  async function assertLostOnce(run: RunId, through: number, journal?: Journal): Promise<void> {
    await look(journal === undefined ? {} : { journal });
    assert.deepEqual(await settlements(run, journal), [[1, through, 'lost']]);
    assert.equal((await lostLetters(run, journal)).length, 1);
  }

  it('makes a dead letter of what a terminated run had not settled', async () => {
    const run = await send('patient', 'terminated', 3);
    await collected(run, 3);
    const { runId } = await handle(run).describe();
    await handle(run).terminate('an operator in the Web UI');
    assert.equal(await look(), 1);
    const [letter] = await lostLetters(run);
    assert.ok(letter?.kind === 'lost');
    assert.match(letter.reason ?? '', /TERMINATED/);
    assert.equal(letter.workflowRunId, runId);
    await assertLostOnce(run, 3);
  });

  it('does not call lost what has settled while it was looked at', async () => {
    const run = await send('patient', 'settled meanwhile');
    await collected(run, 1);
    const doubtful = await engine.row(run);
    assert.ok(doubtful !== undefined);
    await flush(run);
    await handle(run).result();
    const journal: Journal = { ...engine.journal, doubtfulRuns: async () => [doubtful] };
    assert.equal(await look({ journal }), 0);
    assert.deepEqual(await lostLetters(run), []);
  });

  it('makes a dead letter of a run whose workflow failed outside of our control', async () => {
    const run = await send('failing', 'failed', 1);
    await assert.rejects(handle(run).result());
    assert.equal(await look(), 1);
    await assertLostOnce(run, 1);
  });

  it('makes a dead letter of a run whose workflow timed out', async () => {
    const run = engine.run('silent', 'timed out');
    await engine.client.workflow.start('silent', {
      workflowId: run,
      taskQueue: 'tidegate',
      workflowExecutionTimeout: '1s',
    });
    await send('silent', 'timed out', 2);
    await assert.rejects(handle(run).result());
    assert.equal(await look(), 1);
    await assertLostOnce(run, 2);
  });

  it('makes a dead letter of a run that Temporal knows nothing of', async () => {
    const journal = await openJournal({});
    try {
      const run = engine.run('patient', 'unheard of');
      const deliveries = [{ flow: 'patient', key: 'unheard of', run }];
      await journal.append([{ event: event(), status: 'accepted', deliveries }]);
      await journal.leaseLanes('gone', 60_000);
      await journal.markSent('gone', [{ run, through: 1 }]);
      assert.equal(await look({ journal }), 1);
      await assertLostOnce(run, 1, journal);
    } finally {
      await journal.close();
    }
  });

  it('leaves alone a run that waits, for time or for a person', async () => {
    const waiting = await send('patient', 'waits', 2);
    await collected(waiting, 2);
    const parked = await send('refused', 'parked');
    await until('the run to park', async () => (await engine.row(parked))?.status === 'parked');
    assert.equal(await look(), 0);
    for (const run of [waiting, parked]) {
      assert.deepEqual(await settlements(run), []);
      assert.equal((await engine.row(run))?.dispatchError, undefined);
    }
    await flush(waiting);
    await engine.settled(waiting, 2);
    assert.deepEqual(await settlements(waiting), [[1, 2, 'completed']]);
  });

  it('makes a dead letter of a run that was terminated while it waited for a person', async () => {
    const run = await send('refused', 'parked and terminated');
    await until('the run to park', async () => (await engine.row(run))?.status === 'parked');
    await handle(run).terminate('an operator in the Web UI');
    assert.equal(await look(), 1);
    await assertLostOnce(run, 1);
  });

  it('takes back what it noted on a run whose code throws no longer', async () => {
    const run = await send('patient', 'mended');
    await collected(run, 1);
    await engine.journal.markDispatchFailed(run, 'its workflow task has failed 7 times');
    assert.equal(await look(), 0);
    assert.equal((await engine.row(run))?.dispatchError, undefined);
    await flush(run);
    await engine.settled(run, 1);
  });

  it('notes on a run that its code keeps throwing, until the run is settled', async function () {
    this.timeout(60_000);
    const run = await send('buggy', 'bug');
    // Temporal's pauses grow: the fifth attempt comes after half a minute.
    const failingAttempts = 2;
    const noted = await until(
      'the note on the run',
      async () => {
        assert.equal(await look({ failingAttempts }), 0);
        return (await engine.row(run))?.dispatchError;
      },
      40_000,
    );
    assert.match(noted, /failed \d+ times/);
    assert.deepEqual(await settlements(run), []);
    await handle(run).terminate('given up');
    assert.equal(await look({ failingAttempts }), 1);
    await assertLostOnce(run, 1);
    assert.equal((await engine.row(run))?.dispatchError, undefined);
  });

  it('begins a new run for an event after a terminated one, whose events are lost once', async () => {
    const run = await send('patient', 'again', 2);
    await collected(run, 2);
    await handle(run).terminate('an operator in the Web UI');
    await send('patient', 'again', 1);
    await collected(run, 1);
    await assertLostOnce(run, 2);
    await flush(run);
    const row = await engine.settled(run, 3);
    assert.deepEqual(row.settlements.at(-1)?.result, { count: 1, first: sent });
    assert.deepEqual(await settlements(run), [
      [1, 2, 'lost'],
      [3, 3, 'completed'],
    ]);
    assert.equal((await lostLetters(run)).length, 1);
  });
});
