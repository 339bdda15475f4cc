import assert from 'node:assert/strict';
import fc from 'fast-check';
import { z } from 'zod';
import { defineEvents } from '../../src/contracts/index.ts';
import type { Json } from '../../src/model/event.ts';
import { maskAt, maskerOf, valuesAt } from '../../src/model/mask.ts';
import { maskRefused } from '../../src/model/mask-event.ts';
import { maskingOf } from '../../src/model/masking.ts';

const events = defineEvents({
  'order.placed': z.object({
    orderId: z.string(),
    customer: z.object({ email: z.string().meta({ pii: true }) }),
    lines: z.array(z.object({ sku: z.string(), engraving: z.string().meta({ pii: true }) })),
    notes: z.record(z.string(), z.string().meta({ pii: true })).optional(),
    'home.town': z.string().meta({ pii: true }).optional(),
    pair: z.tuple([z.string(), z.string().meta({ pii: true })]).optional(),
  }),
  'order.paid': z.object({ orderId: z.string() }),
});
const masking = maskingOf(events);
const paths = masking?.pathsOf('order.placed') ?? [];

describe('masks', () => {
  it('hide marked fields and nothing else, without their length or type', () => {
    const data = {
      orderId: 'o1',
      customer: { email: 'ada@x.example', tier: 'gold' },
      lines: [{ sku: 's', engraving: 'Ada' }],
      notes: { first: 'call Ada' },
      'home.town': 'Wien',
      pair: ['a', 'b'],
      extra: 1,
    };
    assert.deepEqual(maskAt(data, paths), {
      orderId: 'o1',
      customer: { email: '***', tier: 'gold' },
      lines: [{ sku: 's', engraving: '***' }],
      notes: { first: '***' },
      'home.town': '***',
      pair: ['a', '***'],
      extra: 1,
    });
  });

  it('hide what stands where a marked field should be', () => {
    const shown = maskAt({ customer: 'ada@x.example', lines: { a: { engraving: 'Ada' } } }, paths);
    assert.ok(!/ada/i.test(JSON.stringify(shown)), JSON.stringify(shown));
    const list = maskAt({ customer: [{ email: 'ada@x.example' }] }, paths);
    assert.deepEqual(list, { customer: [{ email: '***' }] });
  });

  it('are for what is marked only', () => {
    assert.equal(maskingOf(defineEvents({ a: z.object({ b: z.string() }) })), undefined);
    assert.deepEqual(masking?.types, ['order.placed']);
    assert.deepEqual(masking?.pathsOf('order.paid'), []);
    assert.equal(masking?.pathsOf('other'), undefined);
    assert.ok(['email', 'engraving', 'notes', 'pair'].every((name) => masking?.names.has(name)));
  });

  it('find a value in any case, in a URL, in JSON, and where a text was cut', () => {
    const { text } = maskerOf(['Ada "the" Lovelace', 'ada@x.example', '42', 'Al']);
    assert.equal(text('no ADA@X.EXAMPLE'), 'no ***');
    assert.equal(text('/find?q=ada%40x.example&n=1'), '/find?q=***&n=1');
    assert.equal(text('{"name":"Ada \\"the\\" Lovelace"}'), '{"name":"***"}');
    assert.equal(text('it is 42, not 1425'), 'it is ***, not 1425');
    assert.equal(text('Al is also here'), '*** is also here');
    assert.equal(text('refused ada@x.exa'), 'refused ***');
    assert.equal(text('refused ada@x.exa…'), 'refused ***');
    assert.equal(text('nothing'), 'nothing');
  });

  it('find a value among letters that are longer in another case, and with them', () => {
    const { text } = maskerOf(['ada@x.example', 'İlayda Straße', 'Οδυσσεύς Παπ']);
    assert.equal(text('İİİİİİİİ refused ada@x.exa'), 'İİİİİİİİ refused ***');
    assert.equal(text('İ, at ada@x.example'), 'İ, at ***');
    assert.equal(text('İ and İLAYDA STRASSE and i̇layda straße'), 'İ and *** and ***');
    assert.equal(text('refused i̇layda st'), 'refused ***');
    assert.equal(text('refused İLAYDA STRAS'), 'refused ***');
    assert.equal(text('refused ΟΔΥΣ'), 'refused ***');
    assert.equal(text('refused ΟΔΥΣΣΕΎΣ Π…'), 'refused ***');
  });

  it('find a value however long it is, and its beginning where a text was cut', () => {
    const long = Array.from({ length: 25_000 }, (_, index) => (index % 7 === 0 ? '🦉' : 'é$')).join(
      '',
    );
    const { text, json } = maskerOf([long, 'ada@x.example']);
    assert.equal(text(`so ${long} and ADA@x.example`), 'so *** and ***');
    for (const length of [5_000, 1_999, 30_000]) {
      assert.equal(text(`so ${long.slice(0, length)}`.toWellFormed()).slice(0, 6), 'so ***');
      assert.ok(!text(`so ${long.slice(0, length)}`).includes('é$é$'));
    }
    assert.deepEqual(json({ note: [long] }), { note: ['***'] });
  });

  it('take away the end of a text from where a cut value begins, and nothing before it', () => {
    const letters = fc.constantFrom(...'aAiIıİsSßẞσΣςkK🦉𐐀 ');
    const before = fc.string({ unit: letters, maxLength: 12 });
    const cased = fc.constantFrom(
      (text: string) => text,
      (text: string) => text.toLowerCase(),
      (text: string) => text.toUpperCase(),
    );
    const value = 'Şahin-Straße 7, İzmir';
    const { text } = maskerOf([value]);
    fc.assert(
      fc.property(before, cased, fc.integer({ min: 4, max: 30 }), (prefix, inCase, length) => {
        assert.equal(text(`${prefix}|${inCase(value).slice(0, length)}`), `${prefix}|***`);
      }),
    );
  });

  it('cover what no contract describes, and what is no JSON', () => {
    assert.ok(masking);
    const refused = { code: 'unknown_type', message: 'm', type: 'x' };
    const body = JSON.stringify({ id: 'i', data: { who: 'Ada', n: 3, none: null } });
    assert.equal(
      maskRefused({ ...refused, body }, masking).body,
      JSON.stringify({ id: 'i', data: { who: '***', n: '***', none: null } }),
    );
    assert.equal(maskRefused({ ...refused, body: 'Ada' }, masking).body, '***');
    const mapping = { code: 'source_mapping_failed', message: 'Ada is no id', body: '{"a":"Ada"}' };
    const shown = maskRefused(mapping, masking);
    assert.deepEqual([shown.message, shown.body], ['*** is no id', '{"a":"***"}']);
  });

  it('leave nothing of what is marked, whatever the data and whoever quotes it', () => {
    const word = fc
      .string({ minLength: 5, maxLength: 40, unit: 'grapheme' })
      .filter((text) => text.trim().length >= 5 && !text.includes('*'));
    const shape = fc.record({
      orderId: fc.constant('-'),
      customer: fc.oneof(word, fc.record({ email: word }), fc.array(fc.record({ email: word }))),
      lines: fc.oneof(fc.array(fc.record({ sku: fc.constant('-'), engraving: word })), word),
      notes: fc.dictionary(fc.constant('a'), word),
    });
    fc.assert(
      fc.property(shape, fc.nat(60), (data, end) => {
        const values = valuesAt(data as Json, paths).filter((value) => value.trim().length >= 5);
        const shown = JSON.stringify(maskAt(data as Json, paths));
        const { text, json } = maskerOf(values);
        for (const value of values) {
          const quoted = text(`about "${value}" and ${encodeURIComponent(value)}`);
          const cut = text(`about ${value}`.slice(0, 6 + end));
          const deep = JSON.stringify(json({ [value]: [value, { a: `so ${value}` }] }));
          assert.ok(!shown.includes(JSON.stringify(value).slice(1, -1)), shown);
          assert.ok(!quoted.includes(value.trim()), quoted);
          assert.ok(!cut.includes(value.trim().slice(0, 5)), cut);
          assert.ok(!deep.includes(JSON.stringify(value.trim()).slice(1, -1)), deep);
        }
      }),
    );
  });
});
