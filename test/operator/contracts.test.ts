import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
import { countOldSenders } from '../../src/contracts/old-senders.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { JsonSchema } from '../../src/model/contract.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { type OperatorServer, startOperator } from './fixtures/server.ts';

interface Listed {
  readonly rows: readonly {
    readonly type: string;
    readonly version: number;
    readonly versions: readonly {
      readonly version: number;
      readonly schema?: JsonSchema;
      readonly pii: readonly string[];
      readonly deprecation?: { readonly sunset: string };
    }[];
    readonly example?: unknown;
    readonly oldSenders: readonly unknown[];
  }[];
}

describe('GET /api/v1/contracts', () => {
  const connection = lazyConnection(localTemporal(1));
  const oldSenders = countOldSenders();
  let journal: Journal;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    const catalogue = defineEvents({
      'deal.closed': {
        version: 2,
        data: z.object({ dealId: z.string(), owner: z.email().meta({ pii: true }) }),
        versions: { 1: z.object({ dealId: z.string() }) },
        upcast: { 1: (old) => ({ ...old, owner: 'nobody@acme.example' }) },
        deprecated: { 1: { since: '2026-01-01', sunset: '2026-07-01' } },
        example: { dealId: 'd-1', owner: 'ada@acme.example' },
      },
      'user.created': z.object({ userId: z.string() }),
    });
    server = await startOperator({
      journal,
      flows: flowRegistry({}),
      connectors: [],
      contracts: { catalogue, oldSenders },
      runs: temporalRunOperations(new Client({ connection })),
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    });
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  it('lists every type with the schema of each version, its end, personal data and an example', async () => {
    const { status, body } = await server.call<Listed>('/contracts');
    assert.equal(status, 200);
    const [deal, user] = body.rows;
    assert.equal(deal?.type, 'deal.closed');
    assert.equal(deal.version, 2);
    assert.deepEqual(
      deal.versions.map((each) => [
        each.version,
        each.schema?.required,
        each.pii,
        each.deprecation?.sunset,
      ]),
      [
        [1, ['dealId'], [], '2026-07-01T00:00:00.000Z'],
        [2, ['dealId', 'owner'], ['owner'], undefined],
      ],
    );
    assert.deepEqual(deal.example, { dealId: 'd-1', owner: 'ada@acme.example' });
    assert.equal(user?.type, 'user.created');
    assert.equal('example' in user, false);
    assert.deepEqual(user.oldSenders, []);
  });

  it('says who still sends an old version of a type', async () => {
    const at = Date.parse('2026-05-05T05:05:05Z');
    oldSenders.note({ source: 'crm', type: 'deal.closed', version: 1 }, at);
    oldSenders.note({ source: 'crm', type: 'deal.closed', version: 1 }, at);
    const { body } = await server.call<Listed>('/contracts');
    assert.deepEqual(body.rows[0]?.oldSenders, [
      { source: 'crm', version: 1, count: 2, lastAt: '2026-05-05T05:05:05.000Z' },
    ]);
    assert.deepEqual(body.rows[1]?.oldSenders, []);
  });
});
