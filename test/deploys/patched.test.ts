import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultPayloadConverter } from '@temporalio/common';
import { reconcile } from '../../src/dispatch/reconcile.ts';
import { LANES } from '../../src/journal/journal.ts';
import type { RunId } from '../../src/model/run.ts';
import type { RunningWorker } from '../../src/worker.ts';
import { silent } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import { type Build, type Deployment, startDeployment } from './deployment.ts';

const LANE_NUMBERS = Array.from({ length: LANES }, (_, lane) => lane);
/** From this length on a run continues as new, so that a few events are enough for it. */
const HISTORY_EVENTS = 60;

describe('a deploy of changed flows, to workers without a build id', function () {
  this.timeout(120_000);
  let deployment: Deployment;
  let worker: RunningWorker;

  before(async () => {
    deployment = await startDeployment([
      '--dynamic-config-value',
      `limit.historyCount.suggestContinueAsNew=${HISTORY_EVENTS}`,
    ]);
  });
  after(async () => await deployment.stop());
  beforeEach(async () => {
    worker = await deployment.start({ flows: 'v1' });
  });
  afterEach(async () => {
    await worker.stop();
    // The next test's build need not fit what this one leaves.
    await deployment.endRuns();
  });

  const deploy = async (flows: Build['flows']): Promise<void> => {
    await worker.stop();
    worker = await deployment.start({ flows });
  };
  const operations = (run: RunId): readonly string[] =>
    deployment.effects
      .filter(({ key }) => key.startsWith(`${run}/`))
      .map(({ operation }) => operation);
  const flush = (run: RunId) => deployment.decide(run, { action: 'flush' });
  const skip = (run: RunId) => deployment.decide(run, { action: 'skip' });
  const asks = (run: RunId) => deployment.waits(run, /look at it/);
  /** Sends to a run that waits until it has continued as new. @returns how many events it was sent */
  async function untilContinued(flow: string, key: string): Promise<number> {
    const run = await deployment.send(flow, key);
    const before = await until(`${run} to run`, () =>
      deployment.execution(run).catch(() => undefined),
    );
    let events = 1;
    await until(
      `${run} to continue as new`,
      async () => {
        await deployment.send(flow, key);
        events += 1;
        return (await deployment.execution(run)) !== before;
      },
      60_000,
    );
    return events;
  }

  it('leads runs that had passed the place of a change along the old branch, new ones along the new', async () => {
    const passed = await deployment.send('digest', 'passed');
    const waiting = await deployment.send('digest', 'waiting');
    await deployment.waits(waiting, /1 so far/);
    await deployment.waits(passed, /1 so far/);
    await flush(passed);
    await asks(passed);

    await deploy('v2');
    const opened = await deployment.send('digest', 'opened');
    for (const run of [waiting, opened]) {
      await deployment.waits(run, /1 so far/);
      await flush(run);
      await asks(run);
    }
    for (const run of [passed, waiting, opened]) await skip(run);
    assert.deepEqual(await deployment.results(passed), ['old']);
    assert.deepEqual(operations(passed), ['act']);
    for (const run of [waiting, opened]) {
      assert.deepEqual(await deployment.results(run), ['new']);
      assert.deepEqual(operations(run), ['tell', 'act']);
    }
  });

  it('gives a run that goes on to its next window the new branch there', async () => {
    const run = await deployment.send('digest', 'next window');
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await deployment.send('digest', 'next window');
    await deploy('v2');
    await skip(run);
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await skip(run);
    assert.deepEqual(await deployment.results(run, 2), ['old', 'new']);
  });

  it('keeps a window on the old branch that continued as new before the change was deployed', async () => {
    const run = await deployment.send('digest', 'continued old');
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await untilContinued('digest', 'continued old');
    await deploy('v2');
    await asks(run);
    await skip(run);
    // What came meanwhile is the next window, on the new branch.
    await deployment.waits(run, /so far/);
    assert.deepEqual(operations(run), ['act']);
    assert.deepEqual(
      (await deployment.row(run))?.settlements.map(({ result }) => result),
      ['old'],
    );
    await flush(run);
    await asks(run);
    assert.deepEqual(operations(run), ['act', 'tell', 'act']);
    await skip(run);
  });

  it('keeps a window on the old branch whose continuing was the last thing the old build did', async () => {
    const run = await deployment.send('digest', 'handed over');
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await untilContinued('digest', 'handed over');
    await worker.stop();
    // The same execution again, of which the old build has not done a task.
    const handle = deployment.client.workflow.getHandle(run);
    const { events } = await handle.fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    assert.ok(payload);
    await handle.terminate();
    await deployment.client.workflow.start('digest', {
      workflowId: run,
      taskQueue: 'tidegate',
      args: [defaultPayloadConverter.fromPayload(payload)],
    });
    await deploy('v2');
    await asks(run);
    await skip(run);
    await until('the window to settle', async () => (await deployment.row(run))?.settlements[0]);
    assert.deepEqual(operations(run).slice(0, 2), ['act']);
    assert.equal((await deployment.row(run))?.settlements[0]?.result, 'old');
  });

  it('keeps a window on the old branch that continues as new after the change was deployed', async () => {
    const run = await deployment.send('digest', 'continues old');
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await deploy('v2');
    await untilContinued('digest', 'continues old');
    await asks(run);
    await skip(run);
    await deployment.waits(run, /so far/);
    assert.deepEqual(operations(run), ['act']);
    assert.deepEqual(
      (await deployment.row(run))?.settlements.map(({ result }) => result),
      ['old'],
    );
  });

  it('gives a window the new branch that continued as new before it came to the change', async () => {
    await deploy('v2');
    const run = await deployment.send('digest', 'continues new');
    await untilContinued('digest', 'continues new');
    await deployment.waits(run, /so far/);
    await flush(run);
    await asks(run);
    assert.deepEqual(operations(run), ['tell', 'act']);
    await skip(run);
  });

  it('keeps the answer of a window through a retry of its body', async () => {
    const run = await deployment.send('refused', 'retried');
    await until('the run to park', async () => (await deployment.row(run))?.status === 'parked');
    await deploy('v2');
    await deployment.decide(run, { action: 'retry' });
    await until('the body to fail again', async () => {
      const row = await deployment.row(run);
      return row?.park?.parkId.endsWith('/2');
    });
    assert.deepEqual(operations(run), ['act']);
    await deployment.decide(run, { action: 'abort' });
  });

  it('settles each event once while workers of both builds come and go', async () => {
    const KEYS = 6;
    const EVENTS = 90;
    let newer = await deployment.start({ flows: 'v2' });
    const runs = new Set<RunId>();
    const send = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 1) {
        runs.add(await deployment.send('told', `k${n % KEYS}`, n));
        await sleep(50);
      }
    };
    await send(0, EVENTS / 3);
    // What has taken the new branch is given to the old build, which cannot go on with it.
    await newer.stop();
    await send(EVENTS / 3, (2 * EVENTS) / 3);
    newer = await deployment.start({ flows: 'v2' });
    await worker.stop();
    await send((2 * EVENTS) / 3, EVENTS);
    const results = await Promise.all(
      [...runs].map((run) => deployment.results(run, EVENTS / KEYS, 60_000)),
    );
    await newer.stop();
    assert.deepEqual(
      (results.flat(2) as number[]).sort((a, b) => a - b),
      Array.from({ length: EVENTS }, (_, n) => n),
    );
    const acts = deployment.effects.filter(
      ({ operation, key }) => operation === 'act' && key.startsWith('told:'),
    );
    assert.equal(new Set(acts.map(({ key }) => key)).size, results.flat().length);
    assert.ok(
      deployment.effects.some(
        ({ operation, key }) => operation === 'tell' && key.startsWith('told:'),
      ),
    );
  });

  it('without `patched` loses no run: it is told of, and goes on with the build that fits', async () => {
    const run = await deployment.send('digest', 'unguarded');
    await deployment.waits(run, /1 so far/);
    await flush(run);
    await asks(run);
    await deploy('unguarded');
    // A run that only waits meets the new code when something happens.
    await deployment.send('digest', 'unguarded');
    const context = { journal: deployment.journal, client: deployment.client, logger: silent };
    const note = await until(
      'a note on the run',
      async () => {
        await reconcile(context, LANE_NUMBERS, { idleMs: 0, failingAttempts: 2 });
        return (await deployment.row(run))?.dispatchError;
      },
      60_000,
    );
    assert.match(note, /no longer fits its history/);
    await deploy('v1');
    await asks(run);
    await skip(run);
    await deployment.waits(run, /1 so far/);
    assert.deepEqual(operations(run), ['act']);
    await flush(run);
    await asks(run);
    await skip(run);
    assert.deepEqual(await deployment.results(run, 2), ['old', 'old']);
    assert.equal((await deployment.row(run))?.dispatchError, undefined);
  });
});
