import assert from 'node:assert/strict';
import fc from 'fast-check';
import { admit, nextBegin, type WaitingRun } from '../../src/model/admission.ts';
import type { FlowLimits } from '../../src/model/flow-registry.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';

/** A run that opens at a time and, once it has begun, is settled after a while. */
interface Opening extends WaitingRun {
  readonly openedAt: number;
  readonly lastsMs: number;
}
interface Begun extends Opening {
  readonly at: number;
}

const keys = fc.constantFrom('a', 'b', 'c');
const timelines = fc
  .array(
    fc.record({
      gap: fc.oneof(fc.constant(0), fc.nat(300), fc.nat(8_000)),
      lastsMs: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(20_000)),
      concurrencyKey: keys,
      throttleKey: keys,
    }),
    { minLength: 1, maxLength: 50, size: 'large' },
  )
  .map((steps): readonly Opening[] => {
    let openedAt = 1_000;
    return steps.map(({ gap, ...step }, index) => {
      openedAt += gap;
      const run = makeRunId({ flow: 'flow', tenant: 'default', key: `${index}` });
      return { run, openedAt, ...step };
    });
  });

const throttles = fc.record({
  limit: fc.integer({ min: 1, max: 4 }),
  perMs: fc.integer({ min: 1_000, max: 5_000 }),
});
const limits: fc.Arbitrary<FlowLimits> = fc.oneof(
  fc.record({ throttle: throttles }),
  fc.record({ concurrency: fc.record({ limit: fc.integer({ min: 1, max: 3 }) }) }),
  fc.record({
    throttle: throttles,
    concurrency: fc.record({ limit: fc.integer({ min: 1, max: 3 }) }),
  }),
);

/** Looks as the journal does: when a run opens, when one is settled, and when a verdict says so. */
function drive(
  openings: readonly Opening[],
  rule: FlowLimits,
  atEachLook: (look: {
    readonly now: number;
    readonly waiting: readonly Opening[];
    readonly begun: readonly Begun[];
  }) => void = () => {},
): readonly Begun[] {
  const begun: Begun[] = [];
  const looks = new Set(openings.map(({ openedAt }) => openedAt));
  while (looks.size > 0) {
    const now = Math.min(...looks);
    looks.delete(now);
    const isBegun = new Set(begun.map(({ run }) => run));
    const waiting = openings.filter(({ run, openedAt }) => openedAt <= now && !isBegun.has(run));
    const open = begun.filter(({ at, lastsMs }) => at + lastsMs > now);
    const { admitted, lookAgain } = admit(
      {
        now,
        waiting,
        open: new Map([...'abc'].map((key) => [key, countOf(open, 'concurrencyKey', key)])),
        begins: new Map([...'abc'].map((key) => [key, beginsOf(begun, key)])),
      },
      rule,
    );
    for (const run of admitted) {
      const opening = waiting.find((of) => of.run === run) ?? assert.fail('it does not wait');
      begun.push({ ...opening, at: now });
      if (opening.lastsMs > 0) looks.add(now + opening.lastsMs);
    }
    // One that is settled at once frees its slot at once.
    if (admitted.length > 0) looks.add(now);
    for (const { at } of lookAgain) {
      assert.ok(at > now, 'a look that is due already would be repeated without end');
      looks.add(at);
    }
    const left = waiting.filter(({ run }) => !admitted.includes(run));
    if (admitted.length === 0) atEachLook({ now, waiting: left, begun });
  }
  return begun;
}

const countOf = (
  runs: readonly WaitingRun[],
  part: 'concurrencyKey' | 'throttleKey',
  key: string,
): number => runs.filter((run) => run[part] === key).length;
const beginsOf = (begun: readonly Begun[], key: string): readonly number[] =>
  begun.filter(({ throttleKey }) => throttleKey === key).map(({ at }) => at);

const property = (check: (openings: readonly Opening[], rule: FlowLimits) => void): void => {
  fc.assert(fc.property(timelines, limits, check), { numRuns: 2_000 });
};

describe('throttle and concurrency, as a pure rule over random timelines', () => {
  it('begin every run exactly once', () => {
    property((openings, rule) => {
      const runs = drive(openings, rule).map(({ run }) => run);
      assert.equal(runs.length, openings.length);
      assert.equal(new Set(runs).size, openings.length);
    });
  });

  it('never let more than the limit of runs of a throttle key begin in any time of `per`', () => {
    property((openings, rule) => {
      const { throttle } = rule;
      if (throttle === undefined) return;
      const begun = drive(openings, rule);
      for (const { at, throttleKey } of begun) {
        const inTime = beginsOf(begun, throttleKey).filter(
          (other) => other >= at && other < at + throttle.perMs,
        );
        assert.ok(inTime.length <= throttle.limit, `${inTime.length} begin from ${at} on`);
      }
    });
  });

  it('never have more than the limit of runs of a concurrency key open', () => {
    property((openings, rule) => {
      const { concurrency } = rule;
      if (concurrency === undefined) return;
      const begun = drive(openings, rule);
      for (const { at, concurrencyKey } of begun) {
        const open = begun.filter((other) => other.at <= at && other.at + other.lastsMs > at);
        assert.ok(countOf(open, 'concurrencyKey', concurrencyKey) <= concurrency.limit);
      }
    });
  });

  it('let runs of the same keys begin in the order in which they were opened', () => {
    property((openings, rule) => {
      const begun = drive(openings, rule);
      const orderOf = (run: RunId): number => openings.findIndex((opening) => opening.run === run);
      for (const concurrencyKey of 'abc') {
        for (const throttleKey of 'abc') {
          const order = begun
            .filter(
              (run) => run.concurrencyKey === concurrencyKey && run.throttleKey === throttleKey,
            )
            .map(({ run }) => orderOf(run));
          assert.deepEqual(
            order,
            order.toSorted((a, b) => a - b),
          );
        }
      }
    });
  });

  it('with one limit only, let the oldest of each of its keys begin first', () => {
    property((openings, rule) => {
      if (rule.throttle !== undefined && rule.concurrency !== undefined) return;
      const part = rule.throttle === undefined ? 'concurrencyKey' : 'throttleKey';
      const begun = drive(openings, rule);
      for (const key of 'abc') {
        const order = begun.filter((run) => run[part] === key).map(({ openedAt }) => openedAt);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      }
    });
  });

  it('never leave a run waiting that both limits would let begin', () => {
    property((openings, rule) => {
      drive(openings, rule, ({ now, waiting, begun }) => {
        const open = begun.filter(({ at, lastsMs }) => at + lastsMs > now);
        for (const { run, concurrencyKey, throttleKey } of waiting) {
          const hasSlot =
            rule.concurrency === undefined ||
            countOf(open, 'concurrencyKey', concurrencyKey) < rule.concurrency.limit;
          const hasTime =
            rule.throttle === undefined ||
            nextBegin(beginsOf(begun, throttleKey), rule.throttle, now) <= now;
          assert.ok(!(hasSlot && hasTime), `${run} waits for nothing at ${now}`);
        }
      });
    });
  });

  it('are not idle: with a throttle only, each run begins at the earliest time that the rule gives it', () => {
    property((openings, { throttle }) => {
      if (throttle === undefined) return;
      const begun = drive(openings, { throttle });
      for (const key of 'abc') {
        const earlier: number[] = [];
        for (const { openedAt, at } of begun.filter((run) => run.throttleKey === key)) {
          assert.equal(at, nextBegin(earlier, throttle, openedAt));
          earlier.push(at);
        }
      }
    });
  });

  it('leave at the boundary: three at once, the fourth exactly `per` after the first', () => {
    const throttle = { limit: 3, perMs: 2_000 };
    assert.equal(nextBegin([], throttle, 10), 10);
    assert.equal(nextBegin([0, 0], throttle, 10), 10);
    assert.equal(nextBegin([0, 0, 0], throttle, 10), 2_000);
    assert.equal(nextBegin([0, 0, 500], throttle, 2_000), 2_000);
    assert.equal(nextBegin([0, 500, 2_000], throttle, 2_000), 2_000);
    assert.equal(nextBegin([500, 2_000, 2_000], throttle, 2_000), 2_500);
  });
});
