import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decideRetry } from '../../src/activities/decide-retry.ts';

const policies = fc.record({
  attempts: fc.integer({ min: 1, max: 20 }),
  initialMs: fc.integer({ min: 0, max: 10_000 }),
  maxMs: fc.integer({ min: 0, max: 60_000 }),
  withinMs: fc.integer({ min: 0, max: 3_600_000 }),
});
const problems = fc.record({
  errorClass: fc.constantFrom('transient', 'throttled', 'persistent', 'fatal', 'unknown'),
  retryAfterMs: fc.integer({ min: 0, max: 600_000 }),
  mayHaveHappened: fc.boolean(),
});
const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const policy = { attempts: 3, initialMs: 1_000, maxMs: 8_000, withinMs: 60_000 };
const half = () => 0.5;

describe('whether an operation is tried again', () => {
  it('always ends, within its attempts and within its time, however it fails', () => {
    fc.assert(
      fc.property(policies, fc.infiniteStream(problems), draws, (limits, failures, draw) => {
        let [counted, free, elapsedMs] = [0, 0, 0];
        for (;;) {
          const problem = failures.next().value;
          assert.ok(problem);
          if (problem.errorClass === 'throttled') free++;
          else counted++;
          const decision = decideRetry(problem, { counted, free, elapsedMs }, limits, () => draw);
          if (decision.action === 'stop') break;
          assert.ok(/^(transient|throttled)$/.test(problem.errorClass));
          assert.ok(counted < limits.attempts || problem.errorClass === 'throttled');
          assert.ok(decision.delayMs >= Math.max(1, problem.retryAfterMs));
          elapsedMs += decision.delayMs;
          assert.ok(elapsedMs < limits.withinMs);
        }
        assert.ok(counted <= limits.attempts);
      }),
    );
  });

  for (const errorClass of ['persistent', 'fatal', 'unknown'] as const) {
    it(`never repeats what is ${errorClass}`, () => {
      const progress = { counted: 1, free: 0, elapsedMs: 0 };
      assert.deepEqual(
        decideRetry({ errorClass, mayHaveHappened: false }, progress, policy, half),
        {
          action: 'stop',
          why: '',
        },
      );
    });
  }

  const transient = { errorClass: 'transient', mayHaveHappened: true } as const;
  const throttled = { errorClass: 'throttled', mayHaveHappened: false } as const;

  it('waits longer after each transient failure, and stops after the last attempt', () => {
    const decided = (counted: number) =>
      decideRetry(transient, { counted, free: 0, elapsedMs: 0 }, policy, half);
    assert.deepEqual(decided(1), { action: 'retry', delayMs: 500 });
    assert.deepEqual(decided(2), { action: 'retry', delayMs: 1_000 });
    assert.deepEqual(decided(3), { action: 'stop', why: 'all 3 attempts are used up' });
  });

  it('waits at least as long as Retry-After says, with or without jitter', () => {
    const progress = { counted: 1, free: 1, elapsedMs: 0 };
    const wait = (problem: Parameters<typeof decideRetry>[0], random: () => number) => {
      const decision = decideRetry({ ...problem, retryAfterMs: 7_000 }, progress, policy, random);
      return decision.action === 'retry' ? decision.delayMs : assert.fail(decision.why);
    };
    assert.equal(
      wait(transient, () => 0),
      7_000,
    );
    assert.equal(
      wait(throttled, () => 0),
      7_000,
    );
    assert.equal(wait(throttled, half), 7_500);
  });

  it('goes on being throttled after all attempts, but not beyond its time', () => {
    const decided = (elapsedMs: number) =>
      decideRetry(
        { ...throttled, retryAfterMs: 10_000 },
        { counted: 3, free: 40, elapsedMs },
        policy,
        () => 0,
      );
    assert.deepEqual(decided(49_999), { action: 'retry', delayMs: 10_000 });
    assert.deepEqual(decided(50_000), {
      action: 'stop',
      why: 'the next attempt would be in 10s, after the 1m it may take',
    });
  });

  it('never asks Temporal for a delay of nothing, which it would take for none given', () => {
    const decision = decideRetry(transient, { counted: 1, free: 0, elapsedMs: 0 }, policy, () => 0);
    assert.deepEqual(decision, { action: 'retry', delayMs: 1 });
  });
});
