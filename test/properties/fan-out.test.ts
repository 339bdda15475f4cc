import assert from 'node:assert/strict';
import fc from 'fast-check';
import { LIMITS } from '../../src/model/limits.ts';
import type { BranchStage } from '../../src/workflows/branches.ts';
import {
  type FanOutRule,
  fanOutRule,
  statusOf,
  toBegin,
} from '../../src/workflows/primitives/fan-out.ts';

interface Course {
  readonly begun: readonly number[];
  /** How many branches had begun when the first failed. */
  readonly begunAtFailure: number | undefined;
  readonly widest: number;
  readonly stages: readonly BranchStage[];
}

/** Drives the rule as the primitive does: whichever running branch `pick` names ends next. */
function drive(
  initial: readonly BranchStage[],
  rule: FanOutRule,
  ends: readonly BranchStage[],
  picks: readonly number[],
): Course {
  const stages = [...initial];
  const begun: number[] = [];
  let begunAtFailure: number | undefined;
  let widest = 0;
  for (let turn = 0; ; turn += 1) {
    for (const index of toBegin(stages, rule)) {
      stages[index] = 'running';
      begun.push(index);
    }
    const running = stages.flatMap((stage, index) => (stage === 'running' ? [index] : []));
    widest = Math.max(widest, running.length);
    const next = running[(picks[turn % picks.length] ?? 0) % Math.max(1, running.length)];
    if (next === undefined) return { begun, begunAtFailure, widest, stages };
    stages[next] = ends[next] ?? 'done';
    if (stages[next] !== 'done') begunAtFailure ??= begun.length;
  }
}

const courses = (ends: readonly BranchStage[]) =>
  fc.record({
    ends: fc.array(fc.constantFrom(...ends), { maxLength: 40 }),
    concurrency: fc.integer({ min: 1, max: 12 }),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
  });

describe('fan-out, through random orders of completion', () => {
  const waiting = (ends: readonly unknown[]): BranchStage[] => ends.map(() => 'waiting');

  it('with collect begins every branch once, in order, never more than concurrency at a time', () => {
    fc.assert(
      fc.property(courses(['done', 'failed']), ({ ends, concurrency, picks }) => {
        const rule: FanOutRule = { concurrency, onFailure: 'collect' };
        const course = drive(waiting(ends), rule, ends, picks);
        assert.deepEqual(course.begun, [...ends.keys()]);
        assert.equal(course.widest, Math.min(concurrency, ends.length));
        assert.deepEqual(course.stages, ends);
      }),
    );
  });

  it('with stop begins nothing after the first failure, and awaits what runs', () => {
    fc.assert(
      fc.property(courses(['done', 'failed']), ({ ends, concurrency, picks }) => {
        const rule: FanOutRule = { concurrency, onFailure: 'stop' };
        const course = drive(waiting(ends), rule, ends, picks);
        assert.equal(course.begun.length, course.begunAtFailure ?? ends.length);
        assert.ok(!course.stages.includes('running'));
      }),
    );
  });

  it('begins nothing after a cancellation', () => {
    fc.assert(
      fc.property(courses(['done', 'cancelled']), ({ ends, concurrency, picks }) => {
        const rule: FanOutRule = { concurrency, onFailure: 'collect' };
        const course = drive(waiting(ends), rule, ends, picks);
        assert.equal(course.begun.length, course.begunAtFailure ?? ends.length);
      }),
    );
  });

  it('goes on with each branch that had begun before, whatever has failed', () => {
    fc.assert(
      fc.property(
        courses(['done', 'failed']),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        ({ ends, concurrency, picks }, before) => {
          const stages = ends.map((_, index) => (before[index] ? 'begunBefore' : 'waiting'));
          const rule: FanOutRule = { concurrency, onFailure: 'stop' };
          const course = drive(stages, rule, ends, picks);
          assert.ok(!course.stages.includes('begunBefore'));
          assert.ok(course.widest <= concurrency);
        },
      ),
    );
  });

  it('is full when all are done, failed when none is, else partial', () => {
    const done = { status: 'done', value: null, durationMs: 1 } as const;
    const failed = {
      status: 'failed',
      error: { class: 'fatal', message: 'no' },
      durationMs: 1,
    } as const;
    assert.equal(statusOf([]), 'full');
    assert.equal(statusOf([done, done]), 'full');
    assert.equal(statusOf([failed, done]), 'partial');
    assert.equal(statusOf([failed, failed]), 'failed');
  });

  it('refuses options that mean nothing', () => {
    const invalid = { code: 'option_invalid' };
    for (const concurrency of [0, 1.5, Number.NaN, LIMITS.fanOutConcurrencyMax + 1]) {
      assert.throws(() => fanOutRule({ concurrency, onFailure: 'collect' }), invalid);
    }
    assert.throws(() => fanOutRule({ onFailure: 'ignore' as 'stop' }), invalid);
    assert.deepEqual(fanOutRule({ onFailure: 'stop' }), { concurrency: 10, onFailure: 'stop' });
  });
});
