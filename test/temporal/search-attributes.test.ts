import assert from 'node:assert/strict';
import type { Connection } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { startIngress } from '../../src/ingress/main.ts';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { ensureSearchAttributes } from '../../src/search-attributes.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

const names = Object.values(SEARCH_ATTRIBUTES).toSorted();

describe('search attributes', function () {
  this.timeout(60_000);

  const startPlainTemporal = async (port: number): Promise<TestWorkflowEnvironment> =>
    TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: 'existing-path', path: await findTemporalCli(process.env) },
        log: { level: 'error', format: 'pretty' },
        port,
      },
    });

  async function registered(connection: Connection): Promise<readonly string[]> {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: 'default',
    });
    return names.filter((name) => customAttributes[name] !== undefined);
  }

  it('are registered by an ingress once a plain Temporal is there, which came after it', async () => {
    const port = await freePort();
    const journal = await openJournal({});
    const log: string[] = [];
    const ingress = await startIngress({
      config: { host: '127.0.0.1', port: 0 },
      journal,
      temporal: localTemporal(port),
      catalogue: { contracts: {} },
      flows: flowRegistry({}),
      sources: [],
      connectors: [],
      logger: createLogger({
        level: 'info',
        destination: { write: (line) => void log.push(line) },
      }),
    });
    const lines = (text: string) => log.filter((line) => line.includes(text)).length;
    await until('the first try to fail', () => lines('temporal_unavailable') > 0);
    const temporal = await startPlainTemporal(port);
    try {
      await until(
        'the attributes',
        async () => (await registered(temporal.connection)).length === names.length,
        30_000,
      );
      await until('the log to say so', () => lines('has the search attributes') === 1);
      assert.equal(lines('not registered yet'), 1);
    } finally {
      await ingress.stop();
      await journal.close();
      await temporal.teardown();
    }
  });

  it('may be registered by several processes at the same moment', async () => {
    const port = await freePort();
    const temporal = await startPlainTemporal(port);
    const connections = [1, 2, 3, 4].map(() => lazyConnection(localTemporal(port)));
    try {
      const outcomes = await Promise.all(
        connections.map((connection) => ensureSearchAttributes(connection, 'default')),
      );
      assert.deepEqual(new Set(outcomes), new Set(['registered']));
      assert.deepEqual(await registered(temporal.connection), names);
    } finally {
      for (const connection of connections) await connection.close();
      await temporal.teardown();
    }
  });

  it('tell a Temporal that is away from one that refuses', async () => {
    const port = await freePort();
    const away = lazyConnection(localTemporal(port));
    await assert.rejects(ensureSearchAttributes(away, 'default'), (error) =>
      TidegateError.is(error, 'temporal_unavailable'),
    );
    await away.close();
    const temporal = await startPlainTemporal(port);
    const connection = lazyConnection(localTemporal(port));
    try {
      await assert.rejects(ensureSearchAttributes(connection, 'nobody'), (error) => {
        assert.ok(TidegateError.is(error, 'config_invalid'));
        assert.match(error.message, /namespace nobody.*docs\/operating\/running\.md/);
        return true;
      });
    } finally {
      await connection.close();
      await temporal.teardown();
    }
  });
});
