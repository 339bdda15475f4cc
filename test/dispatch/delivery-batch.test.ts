import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type DeliveryBatch,
  PACKED_PREFIX,
  packDeliveries,
  unpackDeliveries,
} from '../../src/model/delivery-batch.ts';
import type { Delivery } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { testEvent } from '../support/events.ts';

/** As they are on the other side. */
const sent = (batch: DeliveryBatch): unknown => JSON.parse(JSON.stringify(batch));

const some = fc.constantFrom('a', 'b', '', 'correlationid', '__proto__');
const events = fc.record(
  {
    specversion: fc.constant('1.0' as const),
    id: some,
    source: some,
    type: some,
    time: some,
    subject: some,
    data: fc.oneof(
      { weight: 19, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
      { weight: 1, arbitrary: fc.constant('x'.repeat(40_000)) },
    ),
    tenantid: some,
    schemaversion: fc.nat(2),
    correlationid: some,
    origin: some,
    hops: fc.nat(2),
    extensions: fc.dictionary(some, fc.nat(2)),
  },
  { requiredKeys: ['specversion', 'id', 'source', 'type', 'time', 'data', 'correlationid'] },
);
const batches = fc
  .array(fc.record({ gap: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 1, 2), event: events }), {
    maxLength: 6,
  })
  .map((list) => {
    let number = 0;
    return list.map(({ gap, event }) => {
      number += gap;
      return { number, event } as Delivery;
    });
  });

describe('a batch of deliveries', () => {
  const alike = (count: number, data: unknown = { stage: 'won' }): readonly Delivery[] =>
    Array.from({ length: count }, (_, n) => {
      const id = `e${n}`;
      return { number: n + 4, event: testEvent({ id, correlationid: id, data }) };
    });

  it('is the same after it was packed, sent and unpacked', () => {
    let packed = 0;
    fc.assert(
      fc.property(batches, (batch) => {
        const given = packDeliveries(batch);
        if (!Array.isArray(given)) packed += 1;
        assert.deepEqual(unpackDeliveries(sent(given)), sent(batch));
      }),
      { numRuns: 2_000 },
    );
    assert.ok(packed > 300, `${packed} were packed`);
  });

  it('says once what its events have alike, and a story that is an event’s own not at all', () => {
    const packed = packDeliveries(alike(3)) as Exclude<DeliveryBatch, readonly unknown[]>;
    assert.equal(packed.deliveriesFrom, 4);
    assert.deepEqual(
      packed.events.map((event) => Object.keys(event)),
      [
        ['id', 'data'],
        ['id', 'data'],
        ['id', 'data'],
      ],
    );
    assert.equal(packed.common.source, alike(1)[0]?.event.source);
    assert.ok(JSON.stringify(packed).startsWith(PACKED_PREFIX));
    const whole = alike(500);
    assert.ok(JSON.stringify(packDeliveries(whole)).length * 2 < JSON.stringify(whole).length);
  });

  it('is a list where it has one event, a gap, or data that stays in the journal', () => {
    const [first, second, third] = alike(3);
    assert.ok(first && second && third);
    const large = alike(2, 'x'.repeat(LIMITS.inlineDataBytesMax));
    for (const batch of [[], [first], [first, third], large]) {
      assert.equal(packDeliveries(batch), batch);
    }
  });

  it('is none where somebody made one up', () => {
    const made = [
      undefined,
      null,
      'text',
      7,
      {},
      [null],
      [{ number: 1 }],
      { deliveriesFrom: 1, common: null, events: [] },
      { deliveriesFrom: 1, common: {}, events: [null] },
      { deliveriesFrom: 1, common: {}, events: [{ id: 'e1' }] },
      { deliveriesFrom: 0.5, common: { type: 'made.up' }, events: [{ id: 'e1' }] },
      { deliveriesFrom: 1, common: { type: 'made.up' }, events: 'e1' },
    ];
    for (const batch of made) assert.equal(unpackDeliveries(batch), undefined);
  });
});
