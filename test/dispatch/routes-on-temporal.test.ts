import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client, type Connection } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { type RunPlaces, runPlaces } from '../../src/dispatch/places.ts';
import { reconcile } from '../../src/dispatch/reconcile.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { ONE_PLACE, type Routes } from '../../src/model/routes.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { ensureSearchAttributes } from '../../src/search-attributes.ts';
import { bundleFlows } from '../../src/worker.ts';
import { silent, startTemporal } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const ROUTES: Routes = {
  default: { taskQueue: 'tidegate' },
  rules: [
    { tenants: ['eu-*'], taskQueue: 'tidegate-eu', namespace: 'eu' },
    { tenants: ['us-*'], taskQueue: 'tidegate-us' },
    { tenants: ['lost-*'], taskQueue: 'tidegate', namespace: 'nowhere' },
  ],
};

describe('runs of tenants that are routed, on a real Temporal with two namespaces', () => {
  let env: Awaited<ReturnType<typeof startTemporal>>;
  let journal: Journal;
  let client: Client;
  const workers: { worker: Worker; running: Promise<void> }[] = [];
  const acted: { run: RunId; on: string }[] = [];
  let count = 0;
  let ingress: { places: RunPlaces; dispatcher: Dispatcher };

  const startIngress = (routes: Routes) => {
    const connection = env.connection as Connection;
    const places = runPlaces({ journal, connection, temporal: { namespace: 'default' }, routes });
    const dispatcher = createDispatcher({
      journal,
      logger: silent,
      holder: `holder-${count}`,
      deliver: temporalDeliver(client, {
        summaryOf: () => undefined,
        placeToSend: places.placeToSend,
      }),
    });
    dispatcher.start();
    return { places, dispatcher };
  };

  before(async function () {
    this.timeout(120_000);
    env = await startTemporal(['--namespace', 'eu']);
    await ensureSearchAttributes(env.connection as Connection, 'eu');
    journal = await openJournal({});
    client = new Client({ connection: env.connection });
    const workflowBundle = await bundleFlows(
      fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
      silent,
    );
    for (const [namespace, taskQueue] of [
      ['default', 'tidegate'],
      ['default', 'tidegate-us'],
      ['eu', 'tidegate-eu'],
    ] as const) {
      const worker = await Worker.create({
        connection: env.nativeConnection,
        namespace,
        taskQueue,
        workflowBundle,
        activities: {
          ...journal.activities,
          'probe.act': async ({ run }: { run: RunId }) => {
            acted.push({ run, on: taskQueue });
            return null;
          },
        },
        shutdownGraceTime: '1 second',
        shutdownForceTime: '3 seconds',
      });
      workers.push({ worker, running: worker.run() });
    }
    ingress = startIngress(ROUTES);
  });
  after(async function () {
    this.timeout(30_000);
    await ingress?.dispatcher.stop();
    for (const { worker } of workers) worker.shutdown();
    await Promise.all(workers.map(({ running }) => running));
    await journal?.close();
    await env?.teardown();
  });

  const runOf = (flow: string, tenant: string, key: string) => makeRunId({ flow, tenant, key });
  async function send(flow: string, tenant: string, key: string): Promise<RunId> {
    count += 1;
    const run = runOf(flow, tenant, key);
    const event = testEvent({ id: `e${count}`, tenantid: tenant, data: { n: count } });
    const entry = { event, status: 'accepted', deliveries: [{ flow, key, run }] } as const;
    const [appended] = await journal.append([entry]);
    assert.ok(appended !== undefined);
    ingress.dispatcher.offer(appended.deliveries.map((target) => ({ target, event })));
    return run;
  }
  const settled = (run: RunId, through: number) =>
    until(`${run} settled through ${through}`, async () => {
      const row = await journal.findRun(run);
      return row !== undefined && row.settledThrough >= through && row;
    });
  const describeIn = (namespace: string, run: RunId) =>
    new Client({ connection: env.connection, namespace }).workflow.getHandle(run).describe();
  const operations = () => temporalRunOperations(client, ingress.places.clientOfRun);
  const collected = (run: RunId, events: number) =>
    until(`${run} with ${events} events`, async () =>
      (await operations().view(run))?.waitingFor?.endsWith(`${events} so far`),
    );
  const flush = (run: RunId) =>
    operations().decide(
      run,
      { action: 'flush', reason: 'enough', actor: 'ada' },
      `flush ${run} ${count}`,
    );

  it('run where their tenant is routed, with their operations', async function () {
    this.timeout(60_000);
    for (const [tenant, namespace, taskQueue] of [
      ['eu-1', 'eu', 'tidegate-eu'],
      ['us-1', 'default', 'tidegate-us'],
      ['acme', 'default', 'tidegate'],
    ] as const) {
      const run = await send('refused', tenant, 'k');
      assert.equal((await settled(run, 1)).namespace ?? 'default', namespace);
      assert.equal((await describeIn(namespace, run)).taskQueue, taskQueue);
      assert.deepEqual(
        acted.filter((each) => each.run === run),
        [{ run, on: taskQueue }],
      );
    }
  });

  it('stay where they are while they are open, when the routes change', async function () {
    this.timeout(60_000);
    const run = await send('patient', 'eu-2', 'moves');
    await collected(run, 1);
    await ingress.dispatcher.stop();
    ingress = startIngress(ONE_PLACE);
    await send('patient', 'eu-2', 'moves');
    await collected(run, 2);
    await assert.rejects(describeIn('default', run), /not found/i);
    await flush(run);
    await settled(run, 2);

    await send('patient', 'eu-2', 'moves');
    await collected(run, 1);
    assert.equal((await describeIn('default', run)).taskQueue, 'tidegate');
    await flush(run);
    await settled(run, 3);
    await ingress.dispatcher.stop();
    ingress = startIngress(ROUTES);
  });

  it('are looked for where they are, when they are lost', async function () {
    this.timeout(60_000);
    const run = await send('patient', 'eu-3', 'ends');
    await collected(run, 1);
    await until(
      'the sending to be noted',
      async () => (await journal.findRun(run))?.sentThrough === 1,
    );
    const look = () =>
      reconcile(
        { journal, client, logger: silent, clientOf: ingress.places.clientOf },
        Array.from({ length: LANES }, (_, lane) => lane),
        { idleMs: 0 },
      );
    assert.equal(await look(), 0);
    await ingress.places.clientOf('eu').workflow.getHandle(run).terminate('by hand');
    assert.equal(await look(), 1);
    const { rows } = await journal.listDeadLetters({}, { kind: 'lost', tenant: 'eu-3' });
    assert.equal(rows.length, 1);
  });

  it('do not hold up others when their namespace is not there', async function () {
    this.timeout(60_000);
    const stuck = await send('refused', 'lost-1', 'k');
    await until('the run to say why', async () => (await journal.findRun(stuck))?.dispatchError);
    await settled(await send('refused', 'us-2', 'k'), 1);
    assert.match((await journal.findRun(stuck))?.dispatchError ?? '', /nowhere/);
  });
});
