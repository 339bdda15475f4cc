import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { z } from 'zod';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import type { Json } from '../../src/model/event.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { makeRunId } from '../../src/model/run.ts';
import { type Answer, type Receiver, startReceiver } from '../connectors/support/local-server.ts';
import { startTemporal } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import type { callOperation, Seen } from './fixtures/workflows.ts';

const post = async (input: { path: string }, call: { fetch: Fetch }): Promise<Json> =>
  (await (await call.fetch(input.path, { method: 'POST', json: {} })).json()) as Json;
type Fetch = (path: string, init: { method: 'POST'; json: unknown }) => Promise<Response>;

const crm = defineConnector({
  name: 'crm',
  config: z.object({ baseUrl: z.url() }),
  retry: { attempts: 3, initial: '20ms', max: '40ms', within: '30s' },
  operations: {
    post: { effect: 'write', timeout: '60s', run: post },
    once: { effect: 'write', timeout: '60s', repeatable: false, run: post },
    late: { effect: 'write', timeout: '200ms', run: post },
    hurried: { effect: 'write', timeout: '60s', retry: { within: '2s' }, run: post },
  },
});

/** `/17/503,429,200` answers 503, then 429, then 200 from there on; each idempotency key in turn. */
const scripted = () => {
  const calls = new Map<string, number>();
  const answers = ({
    url,
    headers,
  }: {
    url: string;
    headers: NodeJS.Dict<string | string[]>;
  }): Answer => {
    const key = String(headers['idempotency-key']);
    const number = calls.get(key) ?? 0;
    calls.set(key, number + 1);
    const script = url.split('/').at(-1)?.split(',') ?? [];
    const step = script[Math.min(number, script.length - 1)] ?? '200';
    if (step === 'silent') return { silent: true };
    const wait = step === '429' ? { 'retry-after': '0.05' } : {};
    return { status: Number(step), headers: wait, body: JSON.stringify({ calls: number + 1 }) };
  };
  return { answers, calls: (key: string) => calls.get(key) ?? 0 };
};

describe('an operation on a real Temporal server', function () {
  this.timeout(60_000);
  let env: TestWorkflowEnvironment;
  let receiver: Receiver;
  let bundle: { readonly code: string };
  let worker: Worker | undefined;
  let running: Promise<void> = Promise.resolve();
  const script = scripted();
  const taskQueue = `operations-${randomUUID()}`;

  before(async () => {
    env = await startTemporal();
    receiver = await startReceiver(script.answers);
    bundle = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('./fixtures/workflows.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    });
    await startWorker();
  });
  after(async () => {
    await stopWorker();
    await receiver.close();
    await env.teardown();
  });

  async function startWorker(options: Partial<WorkerOptions> = {}): Promise<void> {
    const connectors = bindConnectors([crm], {
      env: { TIDEGATE_CRM_BASE_URL: receiver.url },
      journal: { recordOutbox: async () => assert.fail('no fake here') },
      allowFakes: false,
    });
    const logger = { info: () => undefined, warn: () => undefined };
    const connection = await NativeConnection.connect({ address: env.address });
    worker = await Worker.create({
      connection,
      taskQueue,
      workflowBundle: bundle,
      activities: operationActivities(connectors, { now: Date.now, random: Math.random, logger }),
      ...options,
      shutdownGraceTime: '1ms',
      shutdownForceTime: '5s',
    });
    running = worker.run().finally(() => connection.close());
  }
  async function stopWorker(): Promise<void> {
    if (worker?.getState() === 'RUNNING') worker.shutdown();
    await running;
  }

  const start = async (operation: string, answers: string, heartbeatTimeout?: string) => {
    const key = randomUUID();
    const call: OperationCall = {
      connector: 'crm',
      operation,
      input: { path: `/${key}/${answers}` },
      idempotencyKey: key,
      run: makeRunId({ flow: 'test', tenant: 'acme', key }),
      tenant: 'acme',
      correlationId: key,
    };
    const handle = await env.client.workflow.start<typeof callOperation>('callOperation', {
      taskQueue,
      workflowId: key,
      args: heartbeatTimeout === undefined ? [call] : [call, heartbeatTimeout],
    });
    return { key, handle };
  };
  const see = async (operation: string, answers: string) => {
    const { key, handle } = await start(operation, answers);
    return { key, seen: await handle.result(), calls: script.calls(key) };
  };
  const failure = (seen: Seen) => (seen.status === 'failed' ? seen : assert.fail('it returned'));

  it('succeeds after two transient failures', async () => {
    const { seen, calls } = await see('post', '503,500,200');
    assert.deepEqual(seen, { status: 'returned', result: { calls: 3 } });
    assert.equal(calls, 3);
  });

  it('does not count what was throttled, on however many attempts', async () => {
    const { seen, calls } = await see('post', '429,503,429,429,429,429,503,429,200');
    assert.deepEqual(seen, { status: 'returned', result: { calls: 9 } });
    assert.equal(calls, 9);
  });

  it('shows the flow class and details once its attempts are used up', async () => {
    const { key, seen, calls } = await see('post', '429,503');
    const { type, nonRetryable, message, details } = failure(seen);
    assert.deepEqual([type, nonRetryable, calls], ['transient', true, 4]);
    assert.match(message, /^crm\.post: POST \/.* answered 503.*\(all 3 attempts are used up\)$/);
    assert.deepEqual(details, [
      { connector: 'crm', operation: 'post', attempts: 4, idempotencyKey: key },
    ]);
  });

  it('stops being throttled when its time is over', async () => {
    const { seen, calls } = await see('hurried', '429');
    assert.equal(failure(seen).type, 'throttled');
    assert.ok(calls > 3);
  });

  for (const [status, type] of [
    ['403', 'persistent'],
    ['422', 'fatal'],
  ] as const) {
    it(`asks once when the answer is ${status}`, async () => {
      const { seen, calls } = await see('post', status);
      assert.deepEqual([failure(seen).type, calls], [type, 1]);
    });
  }

  it('is tried again when no answer came in time', async () => {
    const { seen, calls } = await see('late', 'silent,200');
    assert.deepEqual([seen.status, calls], ['returned', 2]);
  });

  it('keeps what it knows of earlier attempts on every failure of many at once', async () => {
    const seen = await Promise.all(
      Array.from({ length: 40 }, () => see('once', '429,503,429,503,429,200')),
    );
    // One ledger lost, and a write that must not be repeated would be given up.
    assert.deepEqual(
      seen.map(({ seen: { status }, calls }) => `${status} after ${calls}`),
      seen.map(() => 'returned after 6'),
    );
  });

  it('is taken over by another worker when this one stops, without counting', async () => {
    const { key, handle } = await start('post', 'silent,503,503,200');
    await until('the call', () => script.calls(key) === 1);
    await stopWorker();
    await startWorker();
    assert.deepEqual(await handle.result(), { status: 'returned', result: { calls: 4 } });
  });

  it('asks a person when this worker stops within a write that cannot be repeated', async () => {
    const { key, handle } = await start('once', 'silent,200');
    await until('the call', () => script.calls(key) === 1);
    await stopWorker();
    await startWorker();
    const { type, nonRetryable } = failure(await handle.result());
    assert.deepEqual([type, nonRetryable, script.calls(key)], ['unknown', true, 1]);
  });

  // For Temporal a worker is dead when its heartbeats stop; ours come every 3.3 s.
  it('is tried again by itself when its worker is dead', async () => {
    const { key, handle } = await start('post', 'silent,200', '1 second');
    assert.deepEqual(await handle.result(), { status: 'returned', result: { calls: 2 } });
    assert.equal(script.calls(key), 2);
  });

  it('asks a person when its worker died within a write that cannot be repeated', async () => {
    const { key, handle } = await start('once', 'silent,200', '1 second');
    const { type, message } = failure(await handle.result());
    assert.deepEqual([type, script.calls(key)], ['unknown', 1]);
    assert.match(message, /a worker died during an earlier attempt/);
  });

  it('ends with its run: the request is given up', async () => {
    await stopWorker();
    // Heartbeats bring the news of a cancellation, and the SDK holds them back for 8 s by default.
    await startWorker({ maxHeartbeatThrottleInterval: '50ms' });
    const { key, handle } = await start('post', 'silent');
    await until('the call', () => script.calls(key) === 1);
    await handle.cancel();
    await until('the request to be given up', () =>
      receiver.givenUp.some((url) => url.includes(key)),
    );
    await until('the end', async () => (await handle.describe()).status.name === 'CANCELLED');
    assert.equal(script.calls(key), 1);
  });

  it('is tried again, and not left for ever, when no worker knows it', async () => {
    const { handle } = await start('fly', '200');
    const pending = await until('a second attempt', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.find(({ attempt }) => (attempt ?? 0) > 1);
    });
    assert.match(pending.lastFailure?.message ?? '', /this worker has no operation crm\.fly/);
    await handle.terminate();
  });
});
