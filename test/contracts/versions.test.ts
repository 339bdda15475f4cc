import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
import type { ContractVerdict } from '../../src/model/contract.ts';
import type { Json } from '../../src/model/event.ts';
import { contractOf, refusal } from './support.ts';

const V1 = z.object({ id: z.string(), amount: z.number(), mail: z.email().meta({ pii: true }) });
const V3 = z.object({ id: z.string(), cents: z.int(), currency: z.string() });

const invoice = contractOf({
  version: 3,
  data: V3,
  versions: { 1: V1 },
  upcast: {
    1: (old: Record<string, Json>) => {
      if (old.id === 'unheard of') throw new Error('no currency is known');
      return { ...old, currency: 'EUR' };
    },
    2: ({ amount, ...old }: { amount: number }) => ({ ...old, cents: amount * 100 }),
  },
});

const codeOf = (verdict: ContractVerdict<unknown>): string => (verdict.ok ? 'ok' : verdict.code);
const old = { id: 'i-1', amount: 2, mail: 'a@acme.example' };

describe('Data of an old version with a schema of its own', () => {
  it('is held against it before the upcasts, with the paths of that version', () => {
    const verdict = invoice.check({ id: 'i-1', amount: 'much', mail: 'a@acme.example' }, 1);
    assert.equal(codeOf(verdict), 'contract_violation');
    assert.deepEqual(verdict.ok || verdict.problems.map(({ path }) => path), ['amount']);
  });

  it('keeps fields that neither schema names', () => {
    assert.deepEqual(invoice.check({ ...old, note: { deep: [1] } }, 1), {
      ok: true,
      data: { id: 'i-1', cents: 200, currency: 'EUR', mail: 'a@acme.example', note: { deep: [1] } },
    });
  });

  it('is not to blame when an upcast throws', () => {
    const verdict = invoice.check({ ...old, id: 'unheard of' }, 1);
    assert.equal(codeOf(verdict), 'upcast_failed');
    assert.match(verdict.ok ? '' : (verdict.problems[0]?.message ?? ''), /from version 1 failed/);
  });

  it('is not to blame when what the upcasts make of it is not the current version', () => {
    const verdict = invoice.check({ ...old, amount: 0.001 }, 1);
    assert.equal(codeOf(verdict), 'upcast_failed');
    assert.equal(verdict.ok || verdict.problems[0]?.path, 'cents');
  });
});

describe('Data of an old version without a schema of its own', () => {
  it('is to blame for a result that is not the current version', () => {
    assert.equal(
      codeOf(invoice.check({ id: 5, amount: 1, currency: 'EUR' }, 2)),
      'contract_violation',
    );
    assert.equal(codeOf(invoice.check({ id: 'i', amount: 1, currency: 'EUR' }, 2)), 'ok');
  });
});

describe('A version that is not taken', () => {
  for (const version of [4, 99]) {
    it(`is unknown_version when it is newer (${version})`, () => {
      const verdict = invoice.check({}, version);
      assert.equal(codeOf(verdict), 'unknown_version');
      assert.match(
        verdict.ok ? '' : (verdict.problems[0]?.message ?? ''),
        /versions 1 to 3 are taken/,
      );
    });
  }

  it('is unknown_version when it has no upcast any more', () => {
    const contract = contractOf({ version: 2, data: z.unknown() });
    assert.equal(codeOf(contract.check({}, 1)), 'unknown_version');
  });
});

describe('What a contract tells of its versions', () => {
  it('is the JSON Schema of each, its personal data, and when it ends', () => {
    const contract = contractOf({
      version: 2,
      data: z.object({
        from: z.email().meta({ pii: true }).optional(),
        lines: z.array(z.object({ name: z.string().meta({ pii: true }) })),
      }),
      versions: { 1: z.object({ a: z.string() }) },
      upcast: { 1: () => ({ lines: [] }) },
      deprecated: { 1: { since: '2026-01-01', sunset: '2026-07-01T12:00:00+02:00' } },
      example: { lines: [{ name: 'Ada' }] },
    });
    const [first, second] = contract.versions;
    assert.deepEqual(first?.deprecation, {
      since: '2026-01-01T00:00:00.000Z',
      sunset: '2026-07-01T10:00:00.000Z',
      refuseAfterSunset: false,
    });
    assert.equal(first?.schema?.$schema, 'https://json-schema.org/draft/2020-12/schema');
    assert.deepEqual(first?.schema?.required, ['a']);
    assert.deepEqual(first?.pii, []);
    assert.deepEqual(second?.pii, ['from', 'lines[].name']);
    assert.deepEqual(contract.example, { lines: [{ name: 'Ada' }] });
  });

  it('names every place of one schema that is used twice', () => {
    const mail = z.email().meta({ pii: true });
    const contract = contractOf(z.object({ from: mail, to: z.array(mail) }));
    assert.deepEqual(contract.versions[0]?.pii, ['from', 'to[]']);
  });

  it('names personal data in a schema that contains itself', () => {
    const person: z.ZodType = z.object({
      name: z.string().meta({ pii: true }),
      children: z.array(z.lazy(() => person)),
    });
    assert.deepEqual(contractOf(person).versions[0]?.pii, ['name']);
  });

  it('has no schema of a version that has an upcast only', () => {
    assert.equal(invoice.versions[1]?.schema, undefined);
    assert.deepEqual(
      invoice.versions.map(({ version }) => version),
      [1, 2, 3],
    );
  });
});

// What the compiler refuses; `tsc --noEmit` is the test.
const mistyped = () =>
  defineEvents({
    'a.b': {
      version: 2,
      data: z.object({ a: z.string() }),
      subject: (data) => data.a,
      upcast: { 1: (old) => ({ ...old, a: 'new' }) },
      versions: { 1: z.object({}) },
      unversioned: 1,
      deprecated: { 1: { since: '2026-01-01', sunset: '2026-02-01' } },
      example: { a: 'x' },
    },
    'c.d': {
      version: 1,
      data: z.object({ a: z.string() }),
      // @ts-expect-error a is text
      example: { a: 1 },
    },
    'e.f': {
      version: 1,
      data: z.object({ a: z.string() }),
      // @ts-expect-error it has no sunset
      deprecated: { 1: { since: '2026-01-01' } },
    },
  });

describe('A definition with versions is refused at start-up', () => {
  it('and by the compiler before, as far as types can tell', () => {
    assert.throws(mistyped, { code: 'contract_invalid' });
  });

  const base = { version: 2, data: z.object({ a: z.string() }), upcast: { 1: (it: Json) => it } };
  const [since, sunset] = ['2026-01-01', '2026-02-01'];
  const cases: Readonly<Record<string, readonly [object, RegExp]>> = {
    'a schema of the current version among the old ones': [
      { versions: { 2: z.object({}) } },
      /a schema of version 2, which is not before 2/,
    ],
    'an old schema without an upcast': [
      { upcast: {}, versions: { 1: z.object({}) } },
      /a schema of version 1 and no upcast from it/,
    ],
    'an old schema that transforms': [
      { versions: { 1: z.object({ a: z.string().trim() }) } },
      /version 1: a must not transform/,
    ],
    'an old version that is no schema': [
      { versions: { 1: {} } },
      /something else than a zod schema/,
    ],
    'a deprecated version that is not taken': [
      { deprecated: { 3: { since, sunset } } },
      /deprecated version 3 is not a version that is taken/,
    ],
    'no sunset': [{ deprecated: { 1: { since } } }, /needs sunset: a date such as/],
    'a day that does not exist': [
      { deprecated: { 1: { since: '2026-02-30', sunset: '2026-03-01' } } },
      /needs since: a date such as/,
    ],
    'a sunset before the deprecation': [
      { deprecated: { 1: { since: sunset, sunset: since } } },
      /has a sunset before its since/,
    ],
    'a link that would break its header': [
      { deprecated: { 1: { since, sunset, link: 'https://a.example/>; rel="x' } } },
      /has a link that is not/,
    ],
    'a version for events without one that is not taken': [
      { unversioned: 3 },
      /takes events without a version for version 3, which is not taken/,
    ],
    'an example that its schema refuses': [{ example: { a: 1 } }, /an example that it refuses: a /],
  };
  for (const [name, [part, message]] of Object.entries(cases)) {
    it(`when it has ${name}`, () => {
      assert.match(refusal({ 'a.b': { ...base, ...part } }), message);
    });
  }
});
