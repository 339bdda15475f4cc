import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import { type OperationCall, TASK_QUEUE } from '../../src/model/protocol.ts';
import { makeRunId, parseRunId } from '../../src/model/run.ts';
import { bundleFlows } from '../../src/worker.ts';
import { silent, startTemporal } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const RUNS_OF_THE_BUSY = 150;

describe('runs that wait in Temporal for a worker', () => {
  let env: TestWorkflowEnvironment;
  before(async function () {
    this.timeout(120_000);
    env = await startTemporal(['--dynamic-config-value', 'matching.enableFairness=true']);
  });
  after(() => env.teardown());

  it('have their turns by tenant, where its task queues are fair', async function () {
    this.timeout(120_000);
    const client = new Client({ connection: env.connection });
    const deliver = temporalDeliver(client, { summaryOf: () => undefined });
    const begin = (tenant: string, key: string) => {
      const run = makeRunId({ flow: 'refused', tenant, key });
      const event = testEvent({ id: key, tenantid: tenant, data: { n: 1 } });
      return deliver(run, parseRunId(run) ?? assert.fail(), [{ number: 1, event }]);
    };
    for (let nth = 0; nth < RUNS_OF_THE_BUSY; nth += 1) await begin('busy', `k${nth}`);
    await begin('single', 'k');

    const served: string[] = [];
    const flowsPath = fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url));
    const worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: TASK_QUEUE,
      workflowBundle: await bundleFlows(flowsPath, silent),
      activities: {
        'probe.act': async ({ tenant }: OperationCall) => {
          served.push(tenant);
          return null;
        },
        'journal.settle': async () => {},
      },
      maxConcurrentWorkflowTaskExecutions: 4,
      maxConcurrentActivityTaskExecutions: 2,
    });
    await worker.runUntil(
      until('all were served', () => (served.length > RUNS_OF_THE_BUSY ? true : undefined)),
    );
    // By the order in which they came it would be the last.
    const position = served.indexOf('single');
    assert.ok(position >= 0 && position < 20, `it was number ${position}`);
  });
});
