import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { cloudEvent, post, STRUCTURED, startTestIngress } from '../ingress/support.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import * as flows from './fixtures/extension-flows.ts';

describe('Extension attributes of an event, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/extension-flows.ts', import.meta.url)),
      operations: {},
    });
  });
  after(async () => {
    await engine.stop();
  });

  it('come through the ingress, the journal and Temporal to the flow as they were sent', async () => {
    const ingress = await startTestIngress({
      journal: engine.journal,
      catalogue: defineEvents({ 'thing.changed': z.unknown() }),
      flows: flowRegistry(flows),
    });
    const told = {
      datacontenttype: 'text/csv',
      dataschema: 'https://schemas.example/things.csv',
      extensions: { partitionkey: 'p-7', sampledrate: 30, final: true, tracestate: 'a=b' },
    };
    const { extensions, ...known } = told;
    const event = { type: 'thing.changed', data: 'a;b', ...known, ...extensions };
    const answer = await post(
      `${ingress.url}/events`,
      JSON.stringify(cloudEvent(event)),
      STRUCTURED,
    );
    assert.equal(answer.body.results?.[0]?.status, 'accepted');
    const row = await engine.settled(engine.run('tells', 'p-7'), 1);
    assert.deepEqual(row.settlements[0]?.result, told);
    await ingress.stop();
  });
});
