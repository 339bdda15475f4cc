import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'mocha';
import { loadProject } from '../../src/cli/project.ts';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';

const messages: Json[] = [];

async function postMessage({ input }: OperationCall): Promise<Json> {
  messages.push(input);
  return { ts: '1', channel: '#onboarding' };
}

describe('the project of docs/reference/primitives/quorum.md', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('quorum/flows/index.ts', import.meta.url)),
      operations: { 'slack.postMessage': postMessage },
    });
  });
  after(async () => {
    await engine.stop();
  });

  const send = (id: string, type: string, data: object): Promise<void> =>
    engine.send('onboarding', 'c-1', testEvent({ id, type, data: { customerId: 'c-1', ...data } }));

  it('loads, takes the data that the page sends, and gives the events of a customer one key', async () => {
    const { flows, catalogue } = await loadProject(
      fileURLToPath(new URL('quorum', import.meta.url)),
    );
    const data = { customerId: 'c-1', check: 'identity', passed: true };
    assert.equal(catalogue.contracts['check.finished']?.check(data, 1).ok, true);
    const signed = { customerId: 'c-1', name: 'Ada Ltd' };
    assert.equal(catalogue.contracts['customer.signed']?.check(signed, 1).ok, true);
    const [onboarding] = flows.taking('check.finished');
    assert.equal(onboarding?.head.key?.({ data } as unknown as TidegateEvent), 'c-1');
  });

  it('ends as the page says, and a vote after that decides nothing', async () => {
    const run = engine.run('onboarding', 'c-1');
    const check = (name: string, passed: boolean): Promise<void> =>
      send(`${name}-${passed}`, 'check.finished', { check: name, passed });
    await send('signed', 'customer.signed', { name: 'Ada Ltd' });
    for (const name of ['identity', 'crm', 'mallory', 'legal']) await check(name, true);
    const [settlement] = (await engine.settled(run, 5)).settlements;
    assert.deepEqual(
      [settlement?.result, settlement?.window?.count, settlement?.window?.closedBy],
      ['reached', 5, 'need'],
    );
    assert.deepEqual(messages, [{ channel: '#onboarding', text: 'Ada Ltd is a customer' }]);
    await check('legal', false);
    const late = (await engine.settled(run, 6)).settlements.at(-1);
    assert.equal(late?.result, 'no onboarding is open');
  });
});
