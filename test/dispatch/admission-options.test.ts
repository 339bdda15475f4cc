import assert from 'node:assert/strict';
import { flowsFor } from 'tidegate/flow';
import type { IngressContext, Passing } from '../../src/ingress/exchange.ts';
import { routeToFlows } from '../../src/ingress/stages/route-to-flows.ts';
import { ALL_RUNS } from '../../src/journal/deliveries.ts';
import type { Contract, EventCatalogue } from '../../src/model/contract.ts';
import { TidegateError } from '../../src/model/error.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { testEvent } from '../support/events.ts';

type Events = EventCatalogue<{ readonly 'thing.changed': Contract<{ readonly customer: string }> }>;
const flow = flowsFor<Events>();
type Definition = Parameters<typeof flow<'thing.changed'>>[0];
type Limited = Pick<Definition, 'throttle' | 'concurrency'>;

const limited = (options: Limited) =>
  flow({ on: 'thing.changed', run: async () => null, ...options });
const refused = (options: unknown): TidegateError => {
  try {
    limited(options as Limited);
  } catch (error) {
    if (TidegateError.is(error)) return error;
  }
  return assert.fail(`accepted ${JSON.stringify(options)}`);
};

describe('the options throttle and concurrency', () => {
  it('are refused with the option and the flow in the message', () => {
    for (const limit of [0, -1, 1.5, Number.NaN, LIMITS.runsPerLimitMax + 1, '3', undefined]) {
      for (const option of ['throttle', 'concurrency']) {
        const error = refused({ [option]: { limit, per: '1m' } });
        assert.equal(error.code, 'flow_invalid');
        assert.ok(error.message.startsWith(`${option}.limit of the flow on thing.changed must be`));
      }
    }
    const tooShort = refused({ throttle: { limit: 1, per: '999ms' } });
    assert.equal(tooShort.code, 'flow_invalid');
    assert.match(tooShort.message, /^throttle\.per of the flow on thing\.changed .*"999ms"$/);
    assert.equal(refused({ throttle: { limit: 1, per: 'soon' } }).code, 'duration_invalid');
    assert.match(
      refused({ concurrency: { limit: 1, by: 'customer' } }).message,
      /^concurrency\.by of the flow on thing\.changed must be a function/,
    );
  });

  it('are in the head as numbers, and in the registry by the name of the flow', () => {
    const { limits, flows } = flowRegistry({
      paced: limited({ throttle: { limit: 100, per: '1m' } }),
      free: limited({}),
    });
    assert.deepEqual([...limits], [['paced', { throttle: { limit: 100, perMs: 60_000 } }]]);
    assert.deepEqual(Object.keys(flows[1]?.head ?? {}), ['on']);
  });
});

describe('routing to flows with limits', () => {
  const route = (options: Limited, customer = 'acme') => {
    const passing: Passing = {
      kind: 'passing',
      event: testEvent({ id: 'e1', data: { customer } }),
      candidate: { kind: 'candidate', attributes: {}, data: { customer }, requestBytes: 100 },
    };
    const context = { flows: flowRegistry({ limited: limited(options) }) } as IngressContext;
    return routeToFlows(passing, context);
  };
  const limitKeys = (options: Limited, customer?: string) => {
    const decision = route(options, customer);
    assert.equal(decision.kind, 'journal');
    return decision.kind === 'journal' ? decision.entry.deliveries[0]?.limitKeys : undefined;
  };

  it('says which runs share each limit', () => {
    const by: NonNullable<NonNullable<Limited['throttle']>['by']> = ({ data }) => data.customer;
    assert.equal(limitKeys({}), undefined);
    assert.deepEqual(limitKeys({ concurrency: { limit: 1 } }), { concurrency: ALL_RUNS });
    assert.deepEqual(limitKeys({ throttle: { limit: 1, per: '1m', by } }), { throttle: 'acme' });
    assert.deepEqual(
      limitKeys({ throttle: { limit: 1, per: '1m' }, concurrency: { limit: 2, by } }),
      { throttle: ALL_RUNS, concurrency: 'acme' },
    );
  });

  it('keeps an event whose `by` fails for a person', () => {
    const failing: readonly unknown[] = [
      () => {
        throw new Error('no customer');
      },
      () => undefined,
      async () => 'acme',
      () => '',
      () => 'x'.repeat(LIMITS.limitKeyBytesMax + 1),
      () => 'a\u0000b',
      () => '\ud800',
    ];
    for (const by of failing) {
      const decision = route({ concurrency: { limit: 1, by: by as () => string } });
      assert.equal(decision.kind, 'journal');
      if (decision.kind !== 'journal') continue;
      assert.deepEqual(decision.entry.deliveries, []);
      const [held] = decision.entry.held ?? [];
      assert.deepEqual([held?.flow, held?.code], ['limited', 'filter_failed']);
      assert.match(held?.message ?? '', /^concurrency\.by of flow limited /);
    }
  });
});
