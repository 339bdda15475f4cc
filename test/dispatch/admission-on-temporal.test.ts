import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
import { reconcile } from '../../src/dispatch/reconcile.ts';
import { type RunningIngress, startIngress } from '../../src/ingress/main.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { silent, startTemporal } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import * as limitedFlows from './fixtures/limited-flows.ts';

const work = z.object({ n: z.number(), customer: z.string() });
const catalogue = defineEvents({
  'work.shared': work,
  'work.paced': work,
  'work.by_customer': work,
  'work.stuck': work,
});

describe('throttle and concurrency, from HTTP to a real Temporal server', () => {
  let env: TestWorkflowEnvironment;
  let journal: Journal;
  let ingress: RunningIngress;
  let worker: Worker;
  let running: Promise<void>;

  /** What is at work at this moment, and the most that ever was, by customer. */
  const atWork = new Map<string, number>();
  const most = new Map<string, number>();
  const act = async ({ input }: OperationCall): Promise<null> => {
    const { customer } = input as { readonly customer: string };
    const now = (atWork.get(customer) ?? 0) + 1;
    atWork.set(customer, now);
    most.set(customer, Math.max(now, most.get(customer) ?? 0));
    await sleep(60);
    atWork.set(customer, (atWork.get(customer) ?? 0) - 1);
    return null;
  };

  before(async function () {
    this.timeout(90_000);
    env = await startTemporal();
    journal = await openJournal({});
    ingress = await startIngress({
      config: { host: '127.0.0.1', port: 0 },
      journal,
      temporal: { connection: { address: env.address }, namespace: 'default' },
      catalogue,
      flows: flowRegistry(limitedFlows),
      sources: [],
      connectors: [],
      logger: silent,
    });
    worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: 'tidegate',
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('./fixtures/limited-flows.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
        webpackConfigHook: (config) => ({
          ...config,
          resolve: {
            ...config.resolve,
            conditionNames: ['tidegate-source', 'node', 'import', 'default'],
          },
        }),
      }),
      activities: { ...journal.activities, 'probe.act': act },
      shutdownGraceTime: '1 second',
      shutdownForceTime: '3 seconds',
    });
    running = worker.run();
  });
  after(async function () {
    this.timeout(60_000);
    await ingress?.stop();
    worker?.shutdown();
    await running;
    await journal?.close();
    await env?.teardown();
  });

  const runOf = (flow: string, n: number): RunId =>
    makeRunId({ flow, tenant: 'default', key: `${n}` });
  const send = async (type: string, n: number, customer = 'all'): Promise<void> => {
    const { status } = await fetch(`${ingress.url}/events/${type}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `${type}-${n}` },
      body: JSON.stringify({ n, customer }),
    });
    assert.equal(status, 202);
  };
  const allSettled = (flow: string, count: number): Promise<readonly RunRow[]> =>
    until(
      `${count} settled runs of ${flow}`,
      async () => {
        const { rows } = await journal.listRuns({ flow, status: 'settled' }, { limit: 500 });
        return rows.length === count && rows;
      },
      40_000,
    );
  /** What the operator API says. */
  const get = async (path: string) =>
    (await (await fetch(`${ingress.url}/api/v1${path}`)).json()) as Record<string, unknown>;

  it('work on no more runs at a time than the limit, and on all of them', async function () {
    this.timeout(60_000);
    for (let n = 0; n < 20; n += 1) await send('work.shared', n);
    const rows = await allSettled('shared', 20);
    assert.equal(most.get('all'), 2);
    for (const { settlements } of rows) {
      assert.deepEqual(
        settlements.map(({ outcome }) => outcome),
        ['completed'],
      );
    }
  });

  it('give each value of `by` a limit of its own', async function () {
    this.timeout(60_000);
    for (let n = 0; n < 12; n += 1) await send('work.by_customer', n, ['a', 'b', 'c'][n % 3]);
    await allSettled('byCustomer', 12);
    assert.deepEqual(
      ['a', 'b', 'c'].map((customer) => most.get(customer)),
      [1, 1, 1],
    );
  });

  it('start no more workflows in any time of `per` than the limit, by Temporal’s own times, in order', async function () {
    this.timeout(60_000);
    for (let n = 0; n < 8; n += 1) await send('work.paced', n);
    await allSettled('paced', 8);
    const starts: number[] = [];
    for (let n = 0; n < 8; n += 1) {
      const { startTime } = await env.client.workflow.getHandle(runOf('paced', n)).describe();
      starts.push(startTime.getTime());
    }
    for (const [n, start] of starts.entries()) {
      const third = starts[n - 3];
      if (third === undefined) continue;
      assert.ok(start - third >= 2_000, `${n} began ${start - third} ms after the third before it`);
    }
  });

  it('give the slot of a terminated run to the next one, and say of the next that it waits', async function () {
    this.timeout(60_000);
    await send('work.stuck', 1);
    await until(
      'the first to run',
      async () => (await journal.findRun(runOf('stuck', 1)))?.openedAt,
    );
    await send('work.stuck', 2);
    const waiting = await get(`/runs/${encodeURIComponent(runOf('stuck', 2))}`);
    assert.deepEqual(Object.keys(waiting.waitsForSlot as object), ['since', 'concurrency']);

    await env.client.workflow.getHandle(runOf('stuck', 1)).terminate('by hand');
    const lanes = Array.from({ length: LANES }, (_, lane) => lane);
    // Without idle time it may first take a run for lost that is just settling, which changes nothing.
    await until('the first to be found lost', async () => {
      await reconcile({ journal, client: env.client, logger: silent }, lanes, { idleMs: 0 });
      return (await journal.findRun(runOf('stuck', 1)))?.status === 'settled';
    });
    await until(
      'the second to run',
      async () => (await journal.findRun(runOf('stuck', 2)))?.openedAt,
    );
    await env.client.workflow.getHandle(runOf('stuck', 2)).cancel();
    await until('its end', async () => {
      const row = await journal.findRun(runOf('stuck', 2));
      return row?.status === 'settled';
    });
  });

  it('are shown with the flows', async () => {
    const { rows } = (await get('/flows')) as { readonly rows: readonly Record<string, unknown>[] };
    const shown = new Map(
      rows.map(({ name, throttle, concurrency }) => [name, { throttle, concurrency }]),
    );
    assert.deepEqual(shown.get('paced'), {
      throttle: { limit: 3, per: '2s', keyed: false },
      concurrency: undefined,
    });
    assert.deepEqual(shown.get('byCustomer'), {
      throttle: undefined,
      concurrency: { limit: 1, keyed: true },
    });
  });
});
