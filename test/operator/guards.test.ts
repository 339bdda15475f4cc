import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import type { OperatorOptions } from '../../src/operator/router.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { accessWith } from '../access/support.ts';
import { assertProblem, type OperatorServer, startOperator } from './fixtures/server.ts';

describe('the operator API, at its door', () => {
  const connection = lazyConnection(localTemporal(1));
  let journal: Journal;
  let options: OperatorOptions;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    options = {
      journal,
      flows: flowRegistry({}),
      connectors: [],
      runs: temporalRunOperations(new Client({ connection })),
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    };
    server = await startOperator(options);
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  it('answers an unknown address and a wrong method with a problem', async () => {
    assertProblem(await server.call('/nowhere'), 404, 'not_found');
    const wrong = await server.call('/events', { method: 'DELETE' });
    assertProblem(wrong, 405, 'method_not_allowed');
    assert.equal(wrong.headers.allow, 'GET, HEAD');
    assertProblem(await server.call('/runs/a:b:c/decisions'), 405, 'method_not_allowed');
  });

  it('asks for the token on every address when there is one', async () => {
    const guarded = await startOperator({
      ...options,
      access: accessWith({ token: 'a-token-of-some-length' }),
    });
    try {
      for (const headers of [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: 'Basic eA==' },
      ]) {
        for (const path of ['/flows', '/nowhere', '/events']) {
          const answer = await guarded.call(path, { headers });
          assertProblem(answer, 401, 'unauthorized');
          assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer realm="tidegate"/);
        }
      }
      const headers = { authorization: 'Bearer a-token-of-some-length' };
      assert.equal((await guarded.call('/flows', { headers })).status, 200);
    } finally {
      await guarded.stop();
    }
  });

  it('refuses the names of other hosts while it listens on loopback', async () => {
    for (const host of [
      'evil.example',
      'evil.example:3000',
      '127.0.0.1.evil.example',
      '10.0.0.1',
    ]) {
      assertProblem(await server.call('/flows', { headers: { host } }), 403, 'host_refused');
    }
    for (const host of ['localhost:3000', '127.0.0.1', '[::1]:3000', 'tidegate.localhost']) {
      assert.equal((await server.call('/flows', { headers: { host } })).status, 200, host);
    }
    const open = await startOperator({
      ...options,
      access: accessWith({ token: 'a-token-of-some-length' }),
    });
    const headers = {
      host: 'tidegate.acme.example',
      authorization: 'Bearer a-token-of-some-length',
    };
    assert.equal((await open.call('/flows', { headers })).status, 200);
    await open.stop();
  });
});
