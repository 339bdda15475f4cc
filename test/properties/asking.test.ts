import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Asking,
  type AskingRule,
  afterNotice,
  askingDue,
  type NoticeKind,
  startAsking,
} from '../../src/workflows/asking.ts';

const ASKED_AT = 1_000;

interface Told {
  readonly kind: NoticeKind;
  readonly at: number;
}

/**
 * Drives the rule as the asking loop does, through JSON at every step: it looks at the times that it
 * was promised, or later by a jump, and sends whatever is due before it waits again.
 */
function drive(rule: AskingRule, jumps: readonly number[]) {
  let asking: Asking = JSON.parse(JSON.stringify(startAsking(ASKED_AT)));
  let now = ASKED_AT;
  const told: Told[] = [];
  const looks: number[] = [];
  for (const jump of jumps) {
    for (;;) {
      looks.push(now);
      const next = askingDue(rule, asking, now);
      if (next.due === 'end') return { told, looks, asking, endedAt: now };
      if (next.due === undefined) {
        if (next.dueAt === undefined) return { told, looks, asking };
        assert.ok(next.dueAt > now, 'what is not due must be due later');
        const before = askingDue(rule, asking, next.dueAt - 1);
        assert.equal(before.due, undefined, 'nothing is due before the time that was promised');
        now = next.dueAt + jump;
        break;
      }
      assert.notEqual(told.at(-1)?.at, now, 'nobody is told twice at one time');
      told.push({ kind: next.due, at: now });
      asking = JSON.parse(JSON.stringify(afterNotice(asking, next.due, now)));
    }
  }
  return { told, looks, asking };
}

const ms = fc.integer({ min: 1, max: 500 });
const anyRule: fc.Arbitrary<AskingRule> = fc.record(
  { withinMs: fc.integer({ min: 1, max: 2_000 }), remindEveryMs: ms, escalateAfterMs: ms },
  { requiredKeys: [] },
);
/** Mostly on time, sometimes long after: a worker that was away. */
const anyJumps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3_000 }) },
  ),
  { minLength: 1, maxLength: 40 },
);

describe('when people are asked, over random timelines', () => {
  const holds = (check: (rule: AskingRule, jumps: readonly number[]) => void): void => {
    fc.assert(fc.property(anyRule, anyJumps, check), { numRuns: 2_000 });
  };

  it('asks at once, and once', () => {
    holds((rule, jumps) => {
      const { told } = drive(rule, jumps);
      assert.deepEqual(told.at(0), { kind: 'ask', at: ASKED_AT });
      assert.equal(told.filter(({ kind }) => kind === 'ask').length, 1);
    });
  });

  it('never reminds sooner than remindEveryMs after the notice before, also when time has jumped', () => {
    holds((rule, jumps) => {
      const { told } = drive(rule, jumps);
      told.forEach(({ kind, at }, index) => {
        if (kind !== 'reminder') return;
        const before = told[index - 1]?.at ?? Number.NaN;
        assert.ok(at - before >= (rule.remindEveryMs ?? Number.POSITIVE_INFINITY));
      });
    });
  });

  it('reminds exactly every remindEveryMs when nothing is late', () => {
    fc.assert(
      fc.property(ms, fc.integer({ min: 1, max: 20 }), (remindEveryMs, times) => {
        const { told } = drive({ remindEveryMs }, Array(times).fill(0));
        const expected = Array.from({ length: times }, (_, n) => ASKED_AT + n * remindEveryMs);
        assert.deepEqual(
          told.map(({ at }) => at),
          expected,
        );
      }),
    );
  });

  it('escalates once, not before its time, and before any reminder that is due as well', () => {
    holds((rule, jumps) => {
      const { told, looks, endedAt, asking } = drive(rule, jumps);
      const escalations = told.filter(({ kind }) => kind === 'escalation');
      assert.ok(escalations.length <= 1);
      assert.equal(asking.escalated, escalations.length === 1);
      const { escalateAfterMs = Number.POSITIVE_INFINITY } = rule;
      const due = looks.filter((at) => at >= ASKED_AT + escalateAfterMs && at !== endedAt).at(0);
      assert.equal(escalations.at(0)?.at, due);
      const late = told.filter(({ kind, at }) => kind === 'reminder' && at >= (due ?? Infinity));
      assert.ok(
        late.every((reminder) => told.indexOf(reminder) > told.indexOf(escalations[0] as Told)),
      );
    });
  });

  it('sends nothing at or after its end, and ends at the first look that is not before it', () => {
    holds((rule, jumps) => {
      const { told, looks, endedAt } = drive(rule, jumps);
      const { withinMs = Number.POSITIVE_INFINITY } = rule;
      assert.ok(told.every(({ at }) => at < ASKED_AT + withinMs));
      const firstLook = looks.find((at) => at >= ASKED_AT + withinMs);
      assert.equal(endedAt, firstLook);
    });
  });

  it('counts every notice', () => {
    holds((rule, jumps) => {
      const { told, asking } = drive(rule, jumps);
      assert.equal(asking.notices, told.length);
      assert.equal(asking.askedAt, ASKED_AT);
    });
  });

  it('with nothing but a question asks once and then waits for ever', () => {
    const { told, asking } = drive({}, [0, 0]);
    assert.deepEqual(told, [{ kind: 'ask', at: ASKED_AT }]);
    assert.deepEqual(askingDue({}, asking, Number.MAX_SAFE_INTEGER), { dueAt: undefined });
  });

  it('keeps the same amount of state after a thousand reminders', () => {
    const { asking } = drive({ remindEveryMs: 60_000 }, Array(1_000).fill(0));
    assert.equal(asking.notices, 1_000);
    assert.ok(JSON.stringify(asking).length < 150);
  });
});
