import assert from 'node:assert/strict';
import { flowsFor } from 'tidegate/flow';
import type { Contract, EventCatalogue } from '../../src/model/contract.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';

type Events = EventCatalogue<{ readonly 'thing.changed': Contract<{ readonly customer: string }> }>;
const flow = flowsFor<Events>();
type Guards = Pick<
  Parameters<typeof flow<'thing.changed'>>[0],
  'origin' | 'fuse' | 'whenUndeliverable'
>;

const guarded = (options: Guards) =>
  flow({ on: 'thing.changed', run: async () => null, ...options }).head;
const refused = (options: unknown): TidegateError => {
  try {
    guarded(options as Guards);
  } catch (error) {
    if (TidegateError.is(error)) return error;
  }
  return assert.fail(`accepted ${JSON.stringify(options)}`);
};

describe('the options origin, fuse and whenUndeliverable', () => {
  it('are kept in the head: a list, and milliseconds', () => {
    assert.deepEqual(guarded({ origin: 'human' }).origin, ['human']);
    assert.deepEqual(guarded({ origin: ['system', 'flow'] }).origin, ['system', 'flow']);
    assert.deepEqual(guarded({ fuse: { limit: 5, per: '1m' } }).fuse, { limit: 5, perMs: 60_000 });
    assert.equal(guarded({ fuse: false }).fuse, false);
    assert.equal(guarded({ whenUndeliverable: 'go-on' }).whenUndeliverable, 'go-on');
    assert.deepEqual(Object.keys(guarded({})), ['on']);
  });

  it('are refused with the option and the flow in the message', () => {
    for (const origin of ['tidegate:sync', 'humans', [], ['human', 'robot'], 7, null]) {
      const error = refused({ origin });
      assert.equal(error.code, 'flow_invalid');
      assert.match(error.message, /^origin of the flow on thing\.changed must be of human, system/);
    }
    for (const whenUndeliverable of ['skip', true, null]) {
      const error = refused({ whenUndeliverable });
      assert.equal(error.code, 'flow_invalid');
      assert.match(error.message, /^whenUndeliverable of the flow on thing\.changed must be/);
    }
    for (const limit of [0, 1.5, LIMITS.fuseDeliveriesMax + 1, '3', undefined]) {
      const error = refused({ fuse: { limit, per: '1m' } });
      assert.equal(error.code, 'flow_invalid');
      assert.match(error.message, /^fuse\.limit of the flow on thing\.changed must be/);
    }
    assert.match(refused({ fuse: { limit: 1, per: '999ms' } }).message, /^fuse\.per .*"999ms"$/);
    assert.equal(refused({ fuse: { limit: 1, per: 'soon' } }).code, 'duration_invalid');
  });
});
