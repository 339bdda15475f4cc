import assert from 'node:assert/strict';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Client, type Connection } from '@temporalio/client';
import { classifyCallFailure, temporalDeliver } from '../../src/dispatch/deliver.ts';
import { TidegateError } from '../../src/model/error.ts';
import { makeRunId } from '../../src/model/run.ts';
import { lazyConnection, pingTemporal } from '../../src/temporal.ts';
import { testEvent } from '../support/events.ts';

const PARTS = { flow: 'flow', tenant: 'default', key: 'key' };
const DELIVERY = { number: 1, event: testEvent({ id: 'e1', data: {} }) };

/** The SDK by itself would try for 20 s with a dead server, and for 39 s with a message that can never fit. */
describe('a call of the dispatcher to a server that', () => {
  let server: Http2Server;
  let connection: Connection;
  let calls = 0;
  let namespaces: (string | undefined)[] = [];
  let answer = (_stream: ServerHttp2Stream): void => {};

  before(async () => {
    server = createServer();
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      if (!/\/(SignalWith)?StartWorkflowExecution$/.test(String(headers[':path']))) return;
      calls += 1;
      namespaces.push(headers['temporal-namespace'] as string | undefined);
      answer(stream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    connection = lazyConnection({
      namespace: 'default',
      connection: { address: `127.0.0.1:${port}` },
    });
  });
  after(async () => {
    await connection.close();
    server.close();
  });

  const status = (code: number, message: string) => (stream: ServerHttp2Stream) =>
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': String(code),
        'grpc-message': message,
      },
      { endStream: true },
    );
  const failureOfCall = async (): Promise<ReturnType<typeof classifyCallFailure>> => {
    calls = 0;
    const deliver = temporalDeliver(new Client({ connection }), { summaryOf: () => undefined });
    const error = await deliver(makeRunId(PARTS), PARTS, [DELIVERY]).then(
      () => assert.fail('it was taken'),
      (thrown: unknown) => thrown,
    );
    return classifyCallFailure(error);
  };

  it('is away is tried three times', async () => {
    answer = status(14, 'no');
    assert.equal((await failureOfCall()).kind, 'outage');
    assert.equal(calls, 3);
  });

  it('can never take it is tried once', async () => {
    answer = status(8, 'grpc: received message larger than max (5000000 vs. 4194304)');
    assert.equal((await failureOfCall()).kind, 'refused');
    assert.equal(calls, 1);
  });

  it('refuses an event of it is tried once', async () => {
    answer = status(3, 'Blob data size exceeds limit.');
    assert.equal((await failureOfCall()).kind, 'refused');
    assert.equal(calls, 1);
  });

  it('is busy is tried three times, then left for a moment', async () => {
    answer = status(8, 'workflow operation can not be applied because workflow is closing');
    assert.equal((await failureOfCall()).kind, 'busy');
    assert.equal(calls, 3);
  });

  it('says nothing to a question of health is away after its deadline', async function () {
    this.timeout(30_000);
    answer = () => {};
    await assert.rejects(pingTemporal(connection), (error) => {
      assert.ok(TidegateError.is(error, 'temporal_unavailable'));
      assert.match(error.message, /deadline/i);
      return true;
    });
  });

  it('says nothing ends at its deadline, and is not tried again', async function () {
    this.timeout(30_000);
    answer = () => {};
    const { kind, reason } = await failureOfCall();
    assert.deepEqual([kind, calls], ['outage', 1]);
    assert.match(reason, /deadline/i);
  });

  it('tells calls apart by their namespace is told the one of each', async () => {
    namespaces = [];
    answer = status(3, 'no');
    await Promise.all(
      ['one', 'two', 'three'].map((namespace) => {
        const client = new Client({ connection, namespace });
        const deliver = temporalDeliver(client, { summaryOf: () => undefined });
        return deliver(makeRunId(PARTS), PARTS, [DELIVERY]).catch(() => {});
      }),
    );
    assert.deepEqual(namespaces.toSorted(), ['one', 'three', 'two']);
  });
});
