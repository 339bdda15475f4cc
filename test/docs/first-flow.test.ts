import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'mocha';
import { loadProject } from '../../src/cli/project.ts';
import type { TidegateEvent } from '../../src/model/event.ts';

const directory = fileURLToPath(new URL('first-flow', import.meta.url));

describe('the project of docs/start/first-flow.md', () => {
  it('loads, and gives the changes of one order one key', async () => {
    const { flows } = await loadProject(directory);
    assert.deepEqual(
      flows.flows.map(({ name }) => name),
      ['hello', 'orderDigest'],
    );
    const [digest] = flows.taking('order.status_changed');
    const event = { data: { orderId: 'o-1', status: 'paid' } } as TidegateEvent;
    assert.equal(digest?.head.key?.(event), 'o-1');
  });

  it('takes the data that the page sends', async () => {
    const { contracts } = (await loadProject(directory)).catalogue;
    assert.equal(contracts['user.created']?.check({ name: 'Ada' }, 1).ok, true);
    const change = { orderId: 'o-1', status: 'placed' };
    assert.equal(contracts['order.status_changed']?.check(change, 1).ok, true);
  });
});
