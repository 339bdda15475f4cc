import assert from 'node:assert/strict';
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import { dataByReference } from '../../src/dataref/index.ts';
import type { DataOwner, EventName, KeptData } from '../../src/journal/data-of-events.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { testEvent } from '../support/events.ts';

type Read = Pick<Journal, 'dataOfEvents'>;
type Context = Parameters<ReturnType<typeof dataByReference>['codec']['encode']>[1];

const runOf = (tenant: string): Context => ({
  type: 'workflow',
  namespace: 'default',
  workflowId: `flow:${tenant}:key`,
});
const A = runOf('a');

const payloadOf = (value: unknown): Payload => ({
  metadata: { encoding: new Uint8Array(Buffer.from('json/plain')) },
  data: new Uint8Array(Buffer.from(JSON.stringify(value))),
});
const textOf = ({ data }: Payload): string => Buffer.from(data ?? []).toString();
const metadataOf = ({ metadata }: Payload) =>
  Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString()]);
const encode = async (journal: Read, value: unknown, context = A): Promise<Payload> => {
  const [payload] = await dataByReference(journal).codec.encode([payloadOf(value)], context);
  assert.ok(payload);
  return payload;
};
const decode = async (journal: Read, payload: Payload, context = A): Promise<Payload> => {
  const [decoded] = await dataByReference(journal, { awayMs: 0 }).codec.decode([payload], context);
  assert.ok(decoded);
  return decoded;
};
const failsWith = (code: string) => (error: unknown) =>
  TidegateError.is(error) && error.code === code;

const nameOf = (tenant: string, { source, id }: { source: string; id: string }) =>
  JSON.stringify([tenant, source, id]);
type Named = { readonly tenantid: string; readonly source: string; readonly id: string };

/** A journal with these events, and how often it was asked. */
function journalWith(events: readonly (Named & { readonly data: unknown })[]) {
  const kept = new Map<string, KeptData>(
    events.map((event) => [
      nameOf(event.tenantid, event),
      { status: 'kept', data: JSON.parse(JSON.stringify(event.data)) },
    ]),
  );
  const journal = {
    asked: 0,
    run: undefined as DataOwner['run'],
    kept,
    dataOfEvents: async ({ tenant, run }: DataOwner, names: readonly EventName[]) => {
      journal.asked += 1;
      journal.run = run;
      return names.map((name) => kept.get(nameOf(tenant, name)) ?? { status: 'unknown' as const });
    },
  };
  return journal;
}

const LARGE = 'x'.repeat(LIMITS.inlineDataBytesMax);
const large = (id: string, more: object = {}) =>
  testEvent({ id, tenantid: 'a', data: { text: `${id}${LARGE}`, ...more } });

/** Names that code could trip over. */
const name = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'toJSON',
    '1',
    '0',
    '-0',
    '',
    '~/',
    'data',
  ),
  fc.constantFrom('dataref', 'specversion', 'length', '\ud800', '\udc00\ud800', '\u0000', '\u2028'),
  fc.string({ unit: 'binary' }),
);
const object = (value: fc.Arbitrary<unknown>) =>
  fc.array(fc.tuple(name, value), { maxLength: 4 }).map((entries) => Object.fromEntries(entries));

const tree = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      name,
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.constantFrom(null, -0, 1e21, 5e-324),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    object(tie('value')),
    tie('event'),
  ),
  /** What may be an event of the journal, or one of another tenant, with other data, or in none. */
  event: fc
    .record({
      tenantid: fc.constantFrom('a', 'a', 'a', 'b'),
      source: fc.constantFrom('s', 's', 't', '\ud800', '\u0000'),
      id: fc.constantFrom('1', '2', '3', '4'),
      isLarge: fc.constantFrom(true, true, false),
      data: tie('value'),
      more: object(tie('value')),
      order: fc.shuffledSubarray(
        ['specversion', 'id', 'data', 'more', 'source', 'tenantid', 'time'],
        {
          minLength: 6,
        },
      ),
    })
    .map(({ isLarge, data, more, order, ...named }) => {
      const parts: Record<string, object> = {
        specversion: { specversion: '1.0' },
        time: { time: 'now' },
        more,
        data: { data: isLarge ? { data, LARGE } : data },
        id: { id: named.id },
        source: { source: named.source },
        tenantid: { tenantid: named.tenantid },
      };
      return Object.fromEntries(order.flatMap((part) => Object.entries(parts[part] ?? {})));
    }),
}));

/** All that is nested in a value and looks like an event. */
function eventsIn(value: unknown): readonly (Named & { readonly data: unknown })[] {
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.keys(value).flatMap((key) =>
    eventsIn((value as Record<string, unknown>)[key]),
  );
  const { tenantid, source, id, data } = value as Partial<Named> & { data?: unknown };
  return typeof tenantid === 'string' &&
    typeof source === 'string' &&
    typeof id === 'string' &&
    data !== undefined
    ? [{ tenantid, source, id, data }, ...inside]
    : inside;
}

describe('payloads with data by reference', () => {
  it('come back byte for byte, whatever is in them and whatever of it the journal has', async () => {
    let referred = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(tree.value, { maxLength: 4 }), fc.nat(7), async (value, kept) => {
        const payload = payloadOf(value);
        const text = textOf(payload);
        // The journal has some of what is there; of several with one name, one.
        const parsed = eventsIn(JSON.parse(text));
        const journal = journalWith(parsed.filter((_, index) => index % 8 !== kept));
        const encoded = await encode(journal, value);
        const isReferred = textOf(encoded) !== text;
        if (isReferred) referred += 1;
        const decoded = await decode(journal, encoded);
        assert.equal(textOf(decoded), text);
        assert.deepEqual(metadataOf(decoded), metadataOf(payload));
      }),
      { numRuns: 500 },
    );
    assert.ok(referred > 50, `only ${referred} payloads had a reference`);
  });

  it('have a reference that people can follow in the place of large data, and small data in them', async () => {
    const events = [large('é 1', { z: 1, a: 2 }), testEvent({ id: 'small', data: 1 })];
    const journal = journalWith(events);
    const encoded = await encode(journal, [{ number: 1, event: events[0] }, events[1]]);
    const [first, second] = JSON.parse(textOf(encoded)) as [{ event: object }, object];
    assert.deepEqual(second, events[1]);
    const { data: _data, ...rest } = events[0] as { data: unknown };
    const dataref = '/api/v1/events/%C3%A9%201?tenant=a&source=test';
    assert.deepEqual(first.event, { ...rest, dataref });
    assert.ok(textOf(encoded).length < 1_000);
    assert.deepEqual([journal.asked, journal.run], [1, 'flow:a:key']);
    // People may look at what any run of the tenant was given.
    await dataByReference(journal).show([encoded], 'a');
    assert.equal(journal.run, undefined);
  });

  it('are left alone where they are of no run, of another tenant, or not JSON', async () => {
    const event = large('1');
    const journal = journalWith([event]);
    const other: Context = { type: 'workflow', namespace: 'default', workflowId: 'a workflow' };
    for (const context of [other, undefined, runOf('b')]) {
      const payload = payloadOf(event);
      assert.deepEqual(await dataByReference(journal).codec.encode([payload], context), [payload]);
    }
    const binary = { ...payloadOf(event), metadata: { encoding: Buffer.from('binary/plain') } };
    assert.deepEqual(await dataByReference(journal).codec.encode([binary], A), [binary]);
    assert.equal(journal.asked, 0);
  });

  it('keep an event that has other data than the one of its name in the journal', async () => {
    const event = large('1');
    const changed = { ...event, data: { ...(event.data as object), by: 'a flow' } };
    const journal = journalWith([event]);
    assert.equal(textOf(await encode(journal, changed)), JSON.stringify(changed));
  });

  it('believe nothing that the sender of an event wrote', async () => {
    const secret = testEvent({ id: 'secret', tenantid: 'b', data: { text: LARGE, secret: true } });
    const own = large('own');
    const journal = journalWith([secret, own]);
    const lure = (tenantid: string, id: string) => ({
      specversion: '1.0',
      tenantid,
      source: 'test',
      id,
      dataref: `/api/v1/events/${id}?tenant=${tenantid}&source=test`,
      'tidegate-dataref': {
        tenant: tenantid,
        events: [{ at: [], source: 'test', id, sha256: '' }],
      },
    });
    const event = testEvent({
      id: 'lure',
      tenantid: 'a',
      data: [lure('b', 'secret'), lure('a', 'own'), { ...secret }, { ...own }],
    });
    journal.kept.set(nameOf('a', event), { status: 'kept', data: event.data });
    // Beside the event, in its data, and in place of it.
    for (const value of [[event], { input: event.data }, lure('b', 'secret'), [lure('a', 'own')]]) {
      const encoded = await encode(journal, value);
      const text = textOf(await decode(journal, encoded));
      assert.equal(text, JSON.stringify(value));
    }
  });

  it('are refused where they refer to what is another tenant’s, or to a place that is not there', async () => {
    const journal = journalWith([large('1')]);
    const encoded = await encode(journal, [large('1')]);
    await assert.rejects(decode(journal, encoded, runOf('b')), failsWith('payload_corrupt'));
    const { metadata = {} } = encoded;
    for (const value of [[], {}, [1], [{ data: 1 }], [[large('2')]]]) {
      const moved = { ...payloadOf(value), metadata: metadata ?? {} };
      await assert.rejects(decode(journal, moved), failsWith('payload_corrupt'));
    }
    const texts = ['', 'null', '[]', '{"tenant":"a"}', '{"tenant":"a","events":[null]}'];
    for (const text of [
      ...texts,
      '{"tenant":"a","events":[{"at":[1],"source":"","id":"","sha256":""}]}',
    ]) {
      const forged = {
        ...encoded,
        metadata: { ...metadata, 'tidegate-dataref': Buffer.from(text) },
      };
      const { codec, show } = dataByReference(journal);
      await assert.rejects(codec.decode([forged], A), failsWith('payload_corrupt'), text);
      await assert.rejects(show([forged], 'a'), failsWith('payload_corrupt'), text);
    }
  });

  it('fail a task, rather than be without their data, where the journal has none or other data', async () => {
    const encoded = await encode(journalWith([large('1')]), [large('1')]);
    await assert.rejects(decode(journalWith([]), encoded), failsWith('event_data_missing'));
    const other = journalWith([{ ...large('1'), data: large('2').data }]);
    await assert.rejects(decode(other, encoded), failsWith('event_data_missing'));
  });

  it('have null for data that was erased, and still the reference', async () => {
    const event = large('1');
    const journal = journalWith([event]);
    const encoded = await encode(journal, [event]);
    journal.kept.set(nameOf('a', event), { status: 'erased' });
    const decoded = await decode(journal, encoded);
    const dataref = '/api/v1/events/1?tenant=a&source=test';
    assert.equal(textOf(decoded), JSON.stringify([{ ...event, data: null, dataref }]));
    // And so it stays, wherever a run hands it on.
    const again = await encode(journal, JSON.parse(textOf(decoded)));
    assert.equal(textOf(again), textOf(decoded));
  });

  it('are read from the journal once while they are in memory, and once for all in a payload', async () => {
    const events = ['1', '2', '3'].map((id) => large(id));
    const journal = journalWith(events);
    const { codec } = dataByReference(journal);
    const encoded = await codec.encode([payloadOf(events)], A);
    assert.equal(journal.asked, 1);
    assert.equal(textOf((await codec.decode(encoded, A))[0] as Payload), JSON.stringify(events));
    await codec.encode([payloadOf(events)], A);
    assert.equal(journal.asked, 1);
    await decode(journal, encoded[0] as Payload);
    assert.equal(journal.asked, 2);
  });

  it('wait a while for a journal that is away, and then fail', async () => {
    const event = large('1');
    const journal = journalWith([event]);
    const encoded = await encode(journal, event);
    let failures = 2;
    const flaky: Read = {
      dataOfEvents: async (owner, names) => {
        if (failures-- > 0) throw new TidegateError('journal_unavailable', 'away');
        return journal.dataOfEvents(owner, names);
      },
    };
    const [decoded] = await dataByReference(flaky, { awayMs: 60_000 }).codec.decode([encoded], A);
    assert.equal(textOf(decoded as Payload), JSON.stringify(event));
    failures = Number.POSITIVE_INFINITY;
    await assert.rejects(decode(flaky, encoded), failsWith('journal_unavailable'));
  });

  it('are shown to people with what can be read, and as they are where it cannot', async () => {
    const events = ['1', '2'].map((id) => large(id));
    const journal = journalWith(events);
    const encoded = await encode(journal, events);
    const { show } = dataByReference(journal);
    const plain = payloadOf(1);
    const [whole, one] = await show([encoded, plain], undefined);
    assert.equal(textOf(whole as Payload), JSON.stringify(events));
    assert.equal(one, plain);
    await assert.rejects(show([encoded], 'b'), failsWith('payload_corrupt'));
    const empty = dataByReference(journalWith([]));
    assert.deepEqual(await empty.show([encoded], 'a'), [encoded]);
    // Many references to large data are a small request.
    const many = Array.from({ length: 1_000 }, () => encoded);
    const shown = await show(many, 'a');
    assert.equal(shown.length, many.length);
    assert.notEqual(shown[0], encoded);
    assert.equal(shown.at(-1), encoded);
    const bytes = shown.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    assert.ok(bytes < LIMITS.codecBodyBytesMax + 1_000 * textOf(encoded).length);
  });
});
