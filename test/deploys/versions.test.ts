import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { workerMetrics } from '../../src/metrics/worker-metrics.ts';
import type { RunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import type { RunningWorker } from '../../src/worker.ts';
import { watchStanding } from '../../src/worker-deployment.ts';
import { until } from '../support/wait.ts';
import { DEPLOYMENT, type Deployment, startDeployment } from './deployment.ts';

describe('a deploy to workers with a build id', function () {
  this.timeout(120_000);
  let deployment: Deployment;
  const workers = new Map<string, RunningWorker>();

  before(async () => {
    deployment = await startDeployment();
  });
  after(async () => await deployment.stop());
  afterEach(async () => await deployment.endRuns());

  const start = async (buildId: string, flows: 'v1' | 'v2'): Promise<void> => {
    workers.set(buildId, await deployment.start({ flows, buildId }));
  };
  const opened = async (flow: string, key: string): Promise<RunId> => {
    const run = await deployment.send(flow, key);
    await deployment.waits(run, /1 so far/);
    return run;
  };
  const flush = (run: RunId) => deployment.decide(run, { action: 'flush' });

  it('gives a build no run before it is current, of which its worker tells with what to do', async () => {
    await start('b1', 'v1');
    const lines: string[] = [];
    const registry = new Registry();
    const watch = watchStanding({
      connection: deployment.client.connection as never,
      namespace: 'default',
      version: { deploymentName: DEPLOYMENT, buildId: 'b1' },
      tell: workerMetrics(registry).standing,
      logger: createLogger({ level: 'info', destination: { write: (line) => lines.push(line) } }),
      everyMs: 300,
    });
    const run = await deployment.send('counted', 'first');
    const warned = await until('the warning', () =>
      lines.find((line) => /no_current_build/.test(line)),
    );
    const { pendingWorkflowTask } = (await deployment.client.workflow.getHandle(run).describe())
      .raw;
    assert.equal(
      Number(pendingWorkflowTask?.startedTime?.seconds ?? 0),
      0,
      'nobody was given the run',
    );
    const remedy = /temporal worker deployment [^"]*/.exec(JSON.parse(warned).msg)?.[0] ?? '';
    await until('the remedy to work', () =>
      deployment.cli(`${remedy} --yes`).catch(() => undefined),
    );
    await deployment.results(run);
    await until('the news', () => lines.find((line) => /"standing":"current"/.test(line)));
    assert.match(await registry.metrics(), /build_id="b1",standing="current"\} 1/);
    assert.doesNotMatch(await registry.metrics(), /standing="none"/);
    await watch.stop();
  });

  it('finishes a pinned run on the build that began it and moves one that upgrades', async () => {
    const pinned = await opened('pinned', 'old');
    const upgraded = await opened('upgraded', 'old');
    await start('b2', 'v2');
    await deployment.makeCurrent('b2');
    await flush(pinned);
    await flush(upgraded);
    assert.deepEqual(await deployment.results(pinned), ['old body, b1']);
    assert.deepEqual(await deployment.results(upgraded), ['new body, b2']);

    const next = await opened('pinned', 'old');
    await flush(next);
    assert.deepEqual((await deployment.results(next, 2)).at(-1), 'new body, b2');
  });

  it('lets a run wait whose build has gone, until an operator moves it', async () => {
    await deployment.makeCurrent('b1');
    const one = await opened('unchanged', 'one');
    const other = await opened('unchanged', 'other');
    await deployment.makeCurrent('b2');
    await workers.get('b1')?.stop();
    for (const run of [one, other]) {
      await deployment.send('unchanged', run.split(':')[2] ?? '');
      await until(`a task of ${run} that nobody takes`, async () => {
        const { raw } = await deployment.client.workflow.getHandle(run).describe();
        return raw.pendingWorkflowTask;
      });
    }
    await deployment.cli(
      `temporal workflow update-options --workflow-id ${one} --versioning-override-behavior auto_upgrade`,
    );
    await deployment.waits(one, /2 so far/);
    await flush(one);
    assert.deepEqual(await deployment.results(one, 2), ['b2']);

    await deployment.cli(
      `temporal workflow update-options --query "TemporalWorkerDeploymentVersion='${DEPLOYMENT}:b1' AND ExecutionStatus='Running'" --versioning-override-behavior auto_upgrade --reason move --yes`,
    );
    await deployment.waits(other, /2 so far/);
    await flush(other);
    assert.deepEqual(await deployment.results(other, 2), ['b2']);
    await start('b1', 'v1');
  });

  it('settles each event once while builds change under a stream of them', async () => {
    const KEYS = 5;
    const EVENTS = 100;
    const runs = new Set<RunId>();
    for (let n = 0; n < EVENTS; n += 1) {
      if (n % 20 === 0) await deployment.makeCurrent(n % 40 === 0 ? 'b1' : 'b2');
      runs.add(await deployment.send('counted', `k${n % KEYS}`, n));
      await sleep(10);
    }
    const results = await Promise.all(
      [...runs].map((run) => deployment.results(run, EVENTS / KEYS)),
    );
    const windows = results.flat() as { numbers: number[]; by: string }[];
    const numbers = windows.flatMap((window) => window.numbers).sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      Array.from({ length: EVENTS }, (_, n) => n),
    );
    assert.deepEqual(new Set(windows.map(({ by }) => by)), new Set(['b1', 'b2']));
  });

  it('takes open runs from workers without a build id, and gives them back', async () => {
    await deployment.makeCurrent('unversioned');
    const unversioned = await deployment.start({ flows: 'v1' });
    const run = await opened('upgraded', 'migrated');
    const another = await opened('upgraded', 'rolled back');
    await deployment.makeCurrent('b1');
    await flush(run);
    assert.deepEqual(await deployment.results(run), ['old body, b1']);
    await deployment.send('upgraded', 'rolled back');
    await deployment.waits(another, /2 so far/);
    await deployment.makeCurrent('unversioned');
    await flush(another);
    assert.deepEqual(await deployment.results(another, 2), ['old body, v1']);
    await unversioned.stop();
  });
});
