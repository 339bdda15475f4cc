import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { type Receiver, startReceiver } from '../faults/receiver.ts';
import { type System, startSystem } from '../faults/system.ts';
import { readText } from '../repository/files.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

/** The checks that `/readyz` names as down; none when it answers 200. */
async function downAt(url: string): Promise<readonly string[] | undefined> {
  const answer = await fetch(`${url}/readyz`).catch(() => undefined);
  if (answer === undefined) return undefined;
  const { errors = [] } = (await answer.json()) as { errors?: readonly { path: string }[] };
  return answer.status === 200 ? [] : errors.map(({ path }) => path).sort();
}

describe('what processes say of themselves', function () {
  this.timeout(240_000);
  let receiver: Receiver;
  let system: System;
  let ingress: string;
  let worker: string;

  before(async () => {
    receiver = await startReceiver();
    const metricsPort = await freePort();
    worker = `http://127.0.0.1:${metricsPort}`;
    system = await startSystem({
      project: 'project',
      receiverUrl: receiver.url,
      env: { METRICS_PORT: String(metricsPort), TEMPORAL_WORKER_BUILD_ID: 'b1' },
    });
    ingress = system.urls[0] ?? '';
  });
  after(async () => {
    await system?.stop();
    await receiver?.stop();
  });

  const say = async (down: { ingress: readonly string[]; worker: readonly string[] }) => {
    for (const [name, url] of Object.entries({ ingress, worker })) {
      const expected = down[name as keyof typeof down].join();
      await until(
        `the ${name} to name ${expected || 'nothing'} as down`,
        async () => (await downAt(url))?.join() === expected,
        60_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}\n${system.output()}`);
      });
    }
  };
  /** They run and can be measured, whatever else is down: nobody should restart them. */
  const areAlive = async (): Promise<void> => {
    for (const path of ['/healthz', '/metrics']) {
      for (const url of [ingress, worker]) {
        assert.equal((await fetch(`${url}${path}`)).status, 200, `${url}${path}`);
      }
    }
  };
  const isSettled = async (): Promise<boolean> => (await system.unsettled()).length === 0;

  it('ready', async () => {
    await say({ ingress: [], worker: [] });
    await areAlive();
  });

  it('ready also before their build is current, of which they tell apart', async () => {
    await system.send('order.placed', 'first', { order: 'first', customer: 'c' });
    await until('the warning', () => /"no_current_build"/.test(system.processes.worker.output()));
    const text = await (await fetch(`${worker}/metrics`)).text();
    assert.match(
      text,
      /^tidegate_worker_build_info\{deployment="tidegate",build_id="b1",standing="none"\} 1$/m,
    );
    await say({ ingress: [], worker: [] });
    assert.equal(await isSettled(), false);
    const remedy =
      'worker deployment set-current-version --deployment-name tidegate --build-id b1 --yes';
    const cli = await findTemporalCli(process.env);
    await promisify(execFile)(cli, [...remedy.split(' '), '--address', system.temporalAddress]);
    await until('the order to be settled', isSettled, 60_000);
  });

  it('of tasks, slots and cache, as Temporal’s SDK counts them', async () => {
    await system.send('order.placed', 'counted', { order: 'counted', customer: 'c' });
    await until('the order to be settled', isSettled, 60_000);
    const text = await (await fetch(`${worker}/metrics`)).text();
    assert.match(text, /^tidegate_settlements_total\{.*\} \d+$/m);
    const page = readText('docs/operating/workers.md');
    const told = [...page.matchAll(/^\| `(temporal_\w+)`(?:, `(temporal_\w+)`)?/gm)].flatMap(
      ([, ...names]) => names.filter((name) => name !== undefined),
    );
    // These are counted from the first time on, and nothing has failed yet.
    const missing = told.filter((name) => !text.includes(`\n# TYPE ${name} `));
    assert.deepEqual(missing, [
      'temporal_workflow_task_execution_failed_total',
      'temporal_sticky_cache_total_forced_eviction_total',
      'temporal_long_request_failure_total',
    ]);
  });

  it('not ready while Temporal is down, though the worker polls on and the ingress accepts', async () => {
    await system.processes.temporal.kill();
    await say({ ingress: ['temporal'], worker: ['temporal'] });
    await areAlive();
    const text = await (await fetch(`${worker}/metrics`)).text();
    assert.match(text, /^temporal_long_request_failure_total\{.*\} \d+$/m);
    await system.send('order.placed', 'kept', { order: 'kept', customer: 'c' });
    assert.equal(await isSettled(), false);
    system.processes.temporal.start();
    await say({ ingress: [], worker: [] });
    await until('the order to be settled', isSettled, 60_000);
  });

  it('not ready while PostgreSQL is down', async () => {
    await system.postgres.stop();
    await say({ ingress: ['journal'], worker: ['journal'] });
    await areAlive();
    await system.postgres.start();
    await say({ ingress: [], worker: [] });
    await system.send('order.placed', 'later', { order: 'later', customer: 'c' });
    await until('the order to be settled', isSettled, 60_000);
  });

  it('not ready before Temporal has answered once', async () => {
    assert.equal(await system.processes.worker.terminate(), 0);
    await system.processes.temporal.kill();
    system.processes.worker.start();
    await say({ ingress: ['temporal'], worker: ['temporal', 'worker'] });
    system.processes.temporal.start();
    await say({ ingress: [], worker: [] });
  });

  it('why they end, started without PostgreSQL', async () => {
    const { worker: process, ingress: other } = system.processes;
    for (const each of [process, other]) assert.equal(await each.terminate(), 0);
    await system.postgres.stop();
    for (const each of [process, other]) {
      each.start();
      await until(`${each.name} to end`, () => !each.isAsWished(), 60_000);
      assert.match(each.output(), /\[journal_unavailable\]/);
      assert.equal(await each.terminate(), 1);
    }
    await system.postgres.start();
  });
});
