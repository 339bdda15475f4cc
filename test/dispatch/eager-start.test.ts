import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { type Deliver, temporalDeliver } from '../../src/dispatch/deliver.ts';
import { TASK_QUEUE } from '../../src/model/protocol.ts';
import { makeRunId, parseRunId } from '../../src/model/run.ts';
import { bundleFlows } from '../../src/worker.ts';
import { silent, startTemporal } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';

describe('a run that begins beside a worker', () => {
  let env: TestWorkflowEnvironment;
  let client: Client;
  let beside: Client;
  let runs = 0;

  before(async function () {
    this.timeout(120_000);
    env = await startTemporal();
    client = new Client({ connection: env.connection });
    beside = new Client({ connection: env.nativeConnection });
  });
  after(() => env.teardown());

  const delivering = (options: {
    readonly beside: () => Client | undefined;
    readonly taskQueue?: string;
  }): Deliver =>
    temporalDeliver(client, {
      summaryOf: () => undefined,
      beside: options.beside,
      placeToSend: async () => ({ client, taskQueue: options.taskQueue ?? TASK_QUEUE }),
    });
  /** Delivers the first event of a new run. @returns whether a worker had its first task with the answer */
  async function begin(deliver: Deliver): Promise<boolean> {
    runs += 1;
    const run = makeRunId({ flow: 'silent', tenant: 'default', key: `k${runs}` });
    const event = testEvent({ id: `e${runs}`, data: {} });
    await deliver(run, parseRunId(run) ?? assert.fail(), [{ number: 1, event }]);
    const { events } = await client.workflow.getHandle(run).fetchHistory();
    const started = events?.[0]?.workflowExecutionStartedEventAttributes;
    return started?.eagerExecutionAccepted ?? false;
  }

  it('has its first task with the answer, where its task queue is the worker’s', async function () {
    this.timeout(60_000);
    const flowsPath = fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url));
    const worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: TASK_QUEUE,
      workflowBundle: await bundleFlows(flowsPath, silent),
    });
    await worker.runUntil(async () => {
      assert.equal(await begin(delivering({ beside: () => beside })), true);
      assert.equal(await begin(delivering({ beside: () => undefined })), false);
      assert.equal(await begin(delivering({ beside: () => beside, taskQueue: 'other' })), false);
      const elsewhere = new Client({ connection: env.nativeConnection, namespace: 'elsewhere' });
      const foreign = temporalDeliver(elsewhere, {
        summaryOf: () => undefined,
        beside: () => elsewhere,
        placeToSend: async () => ({ client, taskQueue: TASK_QUEUE }),
      });
      assert.equal(await begin(foreign), false);
    });
  });

  it('begins all the same where no worker polls', async () => {
    assert.equal(await begin(delivering({ beside: () => beside })), false);
  });

  it('is begun over the connection of one’s own after a failure, until that has had an answer', async () => {
    let asked = 0;
    const away = {
      withDeadline: async () => {
        asked += 1;
        throw new Error('away');
      },
    };
    const deliver = delivering({ beside: () => away as unknown as Client });
    await assert.rejects(begin(deliver), /away/);
    assert.equal(await begin(deliver), false);
    assert.equal(asked, 1);
    await assert.rejects(begin(deliver), /away/);
    assert.equal(asked, 2);
  });
});
