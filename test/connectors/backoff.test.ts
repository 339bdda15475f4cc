import assert from 'node:assert/strict';
import fc from 'fast-check';
import { delay, retryPolicy } from '../../src/connectors/backoff.ts';

const policies = fc.record({
  initialMs: fc.integer({ min: 0, max: 60_000 }),
  maxMs: fc.integer({ min: 0, max: 600_000 }),
});
const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoff', () => {
  it('draws a whole delay from zero to a bound that doubles up to the maximum', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), policies, draws, (attempt, policy, draw) => {
        const bound = Math.min(policy.maxMs, policy.initialMs * 2 ** (attempt - 1));
        const delayMs = delay(attempt, policy, () => draw);
        assert.ok(Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= bound);
      }),
    );
  });

  it('uses the whole range: jitter is full', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), policies, (attempt, policy) => {
        const bound = Math.min(policy.maxMs, policy.initialMs * 2 ** (attempt - 1));
        assert.equal(
          delay(attempt, policy, () => 0),
          0,
        );
        assert.ok(delay(attempt, policy, () => 1 - Number.EPSILON) >= bound - 1);
      }),
    );
  });

  it('never draws a lower bound for a later attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), policies, draws, (attempt, policy, draw) => {
        assert.ok(delay(attempt + 1, policy, () => draw) >= delay(attempt, policy, () => draw));
      }),
    );
  });

  it("takes an operation's options before the connector's before the defaults", () => {
    assert.deepEqual(retryPolicy({ attempts: 2 }, { attempts: 9, max: '3s' }), {
      attempts: 2,
      initialMs: 500,
      maxMs: 3_000,
      withinMs: 900_000,
    });
  });

  it('refuses attempts that are no count', () => {
    for (const attempts of [0, -1, 1.5, Number.NaN, 101]) {
      assert.throws(() => retryPolicy({ attempts }, undefined), /retry\.attempts/);
    }
  });
});
