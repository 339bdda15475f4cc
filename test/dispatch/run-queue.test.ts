import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  createRunQueue,
  fallBehind,
  holdMore,
  letGo,
  nextBatch,
  offerDelivery,
  passOverNext,
  type RunQueue,
  settleBatch,
  suspectBatch,
} from '../../src/dispatch/run-queue.ts';
import type { Delivery } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId } from '../../src/model/run.ts';
import { testEvent } from '../support/events.ts';

const deliveryOf = (number: number): Delivery => ({
  number,
  event: testEvent({ id: `e${number}`, data: {} }),
});

const acts = fc.array(
  fc.record({
    act: fc.constantFrom('offer', 'load', 'behind', 'sent', 'refused', 'pass over', 'let go'),
    queue: fc.nat(2),
    number: fc.integer({ min: 1, max: 12 }),
  }),
  { maxLength: 80 },
);

describe('the queues of a dispatcher', () => {
  const queuesOf = (inMemory: { deliveries: number }) =>
    ['a', 'b', 'c'].map((key) =>
      createRunQueue(makeRunId({ flow: 'flow', tenant: 'default', key }), {
        sentThrough: 0,
        inMemory,
      }),
    );

  it('hold deliveries in order without a gap after what was sent, and count all that they hold', () => {
    fc.assert(
      fc.property(acts, (schedule) => {
        const inMemory = { deliveries: 0 };
        const queues = queuesOf(inMemory);
        for (const { act, queue: index, number } of schedule) {
          take(act, queues[index] ?? assert.fail(), number);
          for (const { sentThrough = 0, waiting } of queues) {
            assert.deepEqual(
              waiting.map((delivery) => delivery.number),
              waiting.map((_, nth) => sentThrough + 1 + nth),
            );
          }
          assert.equal(
            inMemory.deliveries,
            queues.reduce((sum, { waiting }) => sum + waiting.length, 0),
          );
        }
      }),
    );
  });

  it('leave in the journal what there is no room for, also when there is room again', () => {
    const inMemory = { deliveries: LIMITS.dispatchQueueMax - 1 };
    const [queue = assert.fail(), other = assert.fail()] = queuesOf(inMemory);
    offerDelivery(queue, deliveryOf(1));
    offerDelivery(queue, deliveryOf(2));
    offerDelivery(other, deliveryOf(1));
    assert.deepEqual([queue.waiting.length, queue.isBehind], [1, true]);
    assert.deepEqual([other.waiting.length, other.isBehind], [0, true]);
    settleBatch(queue, queue.waiting);
    offerDelivery(queue, deliveryOf(3));
    assert.deepEqual(queue.waiting, [], 'the second comes first');
  });
});

function take(
  act: (typeof acts extends fc.Arbitrary<infer V> ? V : never)[number]['act'],
  queue: RunQueue,
  number: number,
): void {
  const next = (queue.waiting.at(-1)?.number ?? queue.sentThrough ?? 0) + 1;
  const { deliveries } = nextBatch(queue);
  switch (act) {
    case 'offer':
      offerDelivery(queue, deliveryOf(number));
      break;
    case 'load':
      holdMore(queue, [deliveryOf(next), deliveryOf(next + 1)]);
      queue.isBehind = false;
      break;
    case 'behind':
      fallBehind(queue);
      break;
    case 'sent':
      settleBatch(queue, deliveries);
      break;
    case 'refused':
      suspectBatch(queue, deliveries);
      break;
    case 'pass over':
      passOverNext(queue);
      break;
    case 'let go':
      letGo(queue);
      break;
    default:
      act satisfies never;
  }
}
