import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonResult } from '../../src/activities/json-result.ts';
import { problemOf } from '../../src/connectors/operation-error.ts';
import { LIMITS } from '../../src/model/limits.ts';

describe("an operation's result", () => {
  it('arrives as it is when it is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        assert.deepEqual(jsonResult(value), JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('is null for nothing, and leaves undefined fields out', () => {
    assert.equal(jsonResult(undefined), null);
    assert.deepEqual(jsonResult({ a: undefined, b: [1] }), { b: [1] });
    assert.deepEqual(jsonResult(Object.assign(Object.create(null), { a: 1 })), { a: 1 });
  });

  const round: Record<string, unknown> = {};
  round.self = round;
  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ['a Date', { at: new Date(0) }, /the result\.at is a Date, which is not JSON/],
    ['a Map in a list', [1, new Map()], /the result\[1\] is a Map/],
    ['a Response', new Response(''), /the result is a Response/],
    ['bytes', Buffer.from('x'), /the result is a Buffer/],
    ['a bigint', { n: 1n }, /the result\.n is a bigint/],
    ['a function', { run: () => 1 }, /the result\.run is a function/],
    ['no number', { n: Number.NaN }, /the result\.n is NaN/],
    ['a hole in a list', [undefined], /the result\[0\] is a undefined/],
    ['a circle', round, /nested over 100 levels deep/],
  ];
  for (const [what, value, message] of refused) {
    it(`is fatal for ${what}, with its path`, () => {
      assert.throws(
        () => jsonResult(value),
        (error) => problemOf(error)?.errorClass === 'fatal' && message.test(String(error)),
      );
    });
  }

  it('is fatal over its limit in bytes, not characters, and fine at it', () => {
    const text = 'ä'.repeat((LIMITS.resultBytesMax - 2) / 2);
    assert.equal(jsonResult(text), text);
    assert.throws(() => jsonResult(`${text}ä`), /has 262146 bytes as JSON, at most 262144/);
  });
});
