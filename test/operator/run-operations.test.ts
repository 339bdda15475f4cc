import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { TidegateError } from '../../src/model/error.ts';
import type { Decision } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { type RunOperations, temporalRunOperations } from '../../src/operator/run-operations.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { until } from '../support/wait.ts';
import { startFixture, type TemporalFixture } from './fixtures/temporal.ts';

const RETRY: Decision = { action: 'retry', reason: 'the account is open again', actor: 'maria' };

describe('run operations over Temporal', () => {
  let temporal: TemporalFixture;
  let connection: Connection;
  let runs: RunOperations;
  before(async function () {
    this.timeout(120_000);
    temporal = await startFixture();
    connection = lazyConnection({
      namespace: 'default',
      connection: { address: temporal.environment.address },
    });
    runs = temporalRunOperations(new Client({ connection }));
  });
  after(async function () {
    this.timeout(60_000);
    await connection?.close();
    await temporal?.stop();
  });

  async function start(type: 'waiting' | 'collecting', args: unknown[]) {
    const run = makeRunId({ flow: 'dealDigest', tenant: 'acme', key: `ключ/${randomUUID()}` });
    const { workflow } = temporal.environment.client;
    const handle = await workflow.start(type, {
      workflowId: run,
      taskQueue: temporal.taskQueue,
      args,
    });
    return { run, handle };
  }

  it('tells what an open run is doing', async () => {
    const { run, handle } = await start('waiting', [[['p1']]]);
    const view = await runs.view(run);
    assert.equal(view?.stage, 'parked');
    assert.equal(view?.parked?.parkId, 'p1');
    await handle.terminate();
  });

  it('tells nothing of a run that is not in Temporal', async () => {
    assert.equal(await runs.view(makeRunId({ flow: 'f', tenant: 't', key: 'k' })), undefined);
  });

  it('hands a decision over once, however often it is sent', async () => {
    const { run, handle } = await start('waiting', [[['p1', 'p2']]]);
    const receipts = await Promise.all(
      Array.from({ length: 4 }, () => runs.decide(run, RETRY, 'update-1')),
    );
    for (const receipt of receipts) {
      assert.deepEqual(receipt, { parkId: 'p1', action: 'retry' });
    }
    assert.equal((await runs.view(run))?.parked?.parkId, 'p2');
    await runs.decide(run, { ...RETRY, action: 'skip', input: { ts: '1' } }, 'update-2');
    const taken = (await handle.result()) as Decision[];
    assert.deepEqual(
      taken.map(({ action }) => action),
      ['retry', 'skip'],
    );
  });

  it('does not let a late repetition decide the next park after the run continued as new', async () => {
    const { run, handle } = await start('waiting', [[['p1'], ['p2']]]);
    const decision = { ...RETRY, parkId: 'p1' };
    await runs.decide(run, decision, 'update-1');
    await until('the second park', async () => (await runs.view(run))?.parked?.parkId === 'p2');
    await rejectsWith('run_not_waiting', runs.decide(run, decision, 'update-1'));
    await handle.terminate();
  });

  it('says so when the run waits for nothing', async () => {
    const { run, handle } = await start('collecting', []);
    await rejectsWith('run_not_waiting', runs.decide(run, RETRY, 'update-1'));
    await runs.decide(run, { ...RETRY, action: 'flush' }, 'update-2');
    assert.equal(await handle.result(), 'flushed');
    await rejectsWith(
      'run_not_waiting',
      runs.decide(run, { ...RETRY, action: 'flush' }, 'update-3'),
    );
    await rejectsWith('run_not_waiting', runs.decide('f:t:never' as RunId, RETRY, 'update-4'));
  });

  it('gives up in bounded time when no worker answers', async () => {
    const run = makeRunId({ flow: 'f', tenant: 't', key: randomUUID() });
    const handle = await temporal.environment.client.workflow.start('waiting', {
      workflowId: run,
      taskQueue: 'nobody-polls-here',
      args: [[['p1']]],
    });
    assert.equal(await runs.view(run), undefined);
    await rejectsWith('temporal_unavailable', runs.decide(run, RETRY, 'update-1'));
    await handle.terminate();
  });

  it('gives up in bounded time when Temporal is away', async () => {
    const connection = lazyConnection(localTemporal(1));
    const away = temporalRunOperations(new Client({ connection }));
    const run = makeRunId({ flow: 'f', tenant: 't', key: 'k' });
    assert.equal(await away.view(run), undefined);
    await rejectsWith('temporal_unavailable', away.decide(run, RETRY, 'update-1'));
    await connection.close();
  });
});

async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => TidegateError.is(error) && error.code === code);
}
