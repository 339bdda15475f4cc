import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { z } from 'zod';
import type { Json } from '../../src/model/event.ts';
import { contractOf, problemsOf } from './support.ts';

const deal = z.object({
  dealId: z.string(),
  amount: z.number(),
  owner: z.object({ name: z.string() }).optional(),
  lines: z.array(z.object({ sku: z.string() })).optional(),
});

describe('defineEvents', () => {
  it('takes a bare schema as version 1', () => {
    const contract = contractOf(deal);
    assert.equal(contract.type, 'order.placed');
    assert.equal(contract.version, 1);
    assert.deepEqual(contract.check({ dealId: 'd', amount: 1 }, 1), {
      ok: true,
      data: { dealId: 'd', amount: 1 },
    });
  });

  it('keeps fields that the schema does not name, at every depth', () => {
    const data = {
      dealId: 'd',
      amount: 1,
      extra: true,
      owner: { name: 'n', nick: 'k' },
      lines: [{ sku: 's', colour: 'red' }],
    };
    assert.deepEqual(contractOf(deal).check(data, 1), { ok: true, data });
  });

  it('gives back exactly the data that it took, whatever JSON is beside the named fields', () => {
    const contract = contractOf(z.object({ id: z.string() }));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (rest, id) => {
        const data = { ...rest, id } as Json;
        const verdict = contract.check(data, 1);
        assert.ok(verdict.ok);
        assert.deepEqual(verdict.data, data);
      }),
    );
  });

  it('refuses unknown fields where the schema says so itself', () => {
    const [problem] = problemsOf(
      contractOf(z.strictObject({ id: z.string() })).check({ id: 'i', x: 1 }, 1),
    );
    assert.match(problem?.message ?? '', /x/);
  });

  it('names each failing path', () => {
    const problems = problemsOf(
      contractOf(deal).check({ amount: 'much', lines: [{ sku: 's' }, { sku: 2 }] }, 1),
    );
    assert.deepEqual(
      problems.map(({ path }) => path),
      ['dealId', 'amount', 'lines[1].sku'],
    );
  });

  it('names a bounded number of problems, without control characters or half surrogates', () => {
    const contract = contractOf(z.record(z.string(), z.number()));
    const many = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`key\u0000 ${index} \ud800`, 'text']),
    );
    const problems = problemsOf(contract.check(many, 1));
    assert.equal(problems.length, 51);
    assert.equal(problems.at(-1)?.message, '450 more problems');
    for (const { path, message } of problems) {
      assert.ok(`${path}${message}`.isWellFormed());
      assert.ok(!`${path}${message}`.includes('\u0000'));
    }
  });

  it('takes the subject from the data', () => {
    const contract = contractOf({
      version: 1,
      data: deal,
      subject: (data: { dealId: string }) => data.dealId,
    });
    const verdict = contract.check({ dealId: 'd-1', amount: 1 }, 1);
    assert.equal(verdict.ok && verdict.subject, 'd-1');
  });

  it('calls a subject that throws or cannot be stored a problem', () => {
    const throws = contractOf({
      version: 1,
      data: z.unknown(),
      subject: (data: null) => (data as unknown as { a: { b: string } }).a.b,
    });
    assert.match(problemsOf(throws.check(null, 1))[0]?.message ?? '', /subject/);
    const hostile = contractOf({ version: 1, data: z.string(), subject: (data: string) => data });
    assert.match(problemsOf(hostile.check('a\u0000b', 1))[0]?.message ?? '', /subject/);
    assert.match(problemsOf(hostile.check('x'.repeat(513), 1))[0]?.message ?? '', /subject/);
  });
});

describe('Versions of a contract', () => {
  const contract = contractOf({
    version: 3,
    data: z.object({ id: z.string(), currency: z.string(), cents: z.int() }),
    upcast: {
      1: (old: Record<string, Json>) => ({ ...old, currency: 'EUR' }),
      2: ({ amount, ...old }: { amount: number }) => ({ ...old, cents: amount * 100 }),
    },
  });

  it('bring old data to the current one step by step, with its unknown fields', () => {
    assert.deepEqual(contract.check({ id: 'i', amount: 2, note: 'n' }, 1), {
      ok: true,
      data: { id: 'i', cents: 200, currency: 'EUR', note: 'n' },
    });
    assert.deepEqual(contract.check({ id: 'i', amount: 2, currency: 'USD' }, 2), {
      ok: true,
      data: { id: 'i', cents: 200, currency: 'USD' },
    });
  });

  for (const version of [4, 0, -1, 1.5, Number.NaN]) {
    it(`has a problem with version ${version}`, () => {
      const data = { id: 'i', cents: 1, currency: 'EUR' };
      assert.match(
        problemsOf(contract.check(data, version))[0]?.message ?? '',
        /version .* is not known/,
      );
    });
  }

  it('have a problem with a version before the first upcast', () => {
    const from2 = contractOf({ version: 3, data: z.unknown(), upcast: { 2: (old: Json) => old } });
    assert.match(problemsOf(from2.check({}, 1))[0]?.message ?? '', /version 1 is not known/);
    assert.equal(from2.check({}, 2).ok, true);
  });

  it('have a problem, and do not crash, when an upcast throws or gives no JSON', () => {
    const endings: readonly ((old: Json) => unknown)[] = [
      () => {
        throw new Error('no idea');
      },
      () => undefined,
      () => 1n,
      async () => ({}),
    ];
    for (const upcast of endings) {
      const failing = contractOf({ version: 2, data: z.unknown(), upcast: { 1: upcast } });
      assert.match(problemsOf(failing.check({}, 1))[0]?.message ?? '', /upcast from version 1/);
    }
  });

  it('leave the data that came as it was, whatever an upcast writes to it', () => {
    const writes = contractOf({
      version: 2,
      data: z.unknown(),
      upcast: { 1: (old: Record<string, Json>) => Object.assign(old, { added: true }) },
    });
    const data = { id: 'i' };
    assert.equal(writes.check(data, 1).ok, true);
    assert.deepEqual(data, { id: 'i' });
  });
});

describe('A contract whose schema cannot be applied', () => {
  it('has a problem with the data and does not crash', () => {
    const async = contractOf(z.string().refine(async () => true));
    assert.equal(problemsOf(async.check('x', 1)).length, 1);
    const throwing = contractOf(
      z.string().refine(() => {
        throw new Error('broken rule');
      }),
    );
    assert.match(problemsOf(throwing.check('x', 1))[0]?.message ?? '', /broken rule/);
  });
});
