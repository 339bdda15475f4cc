import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import type { Decision, Question, Voice } from '../../src/model/protocol.ts';
import { type ApprovalOptions, approvalRule } from '../../src/workflows/primitives/approval.ts';
import { parkRule } from '../../src/workflows/primitives/park.ts';
import { type Refusal, refusedBy, resolutionOf, speak } from '../../src/workflows/voices.ts';

const ASKED = ['ana', 'bo', 'cy', 'di'];
const OUTSIDERS = ['eve', 'Ana', ''];
const DUE_AT = 1_000;

type Said = Pick<Decision, 'actor' | 'action'> & { readonly at: number };
interface Answer {
  readonly said: Said;
  readonly refusal: Refusal | undefined;
  /** How the question stood before. */
  readonly ended: boolean;
  readonly voicesBefore: readonly Voice[];
}

const questionFor = (need: number): Question => ({
  kind: 'approval',
  title: 'Access',
  approvers: ASKED,
  need,
  dueAt: DUE_AT,
});

/** Drives the rule as the update handler does: a refusal, or a voice that is noted. */
function drive(need: number, sequence: readonly Said[]) {
  const parked = { step: 'approval#1', question: questionFor(need), voices: [] as Voice[] };
  const answers: Answer[] = sequence.map((said) => {
    const { actor, action, at } = said;
    const voicesBefore = [...parked.voices];
    const ended = resolutionOf({ need }, voicesBefore) !== undefined;
    const decision: Decision = { action, actor, reason: `${actor} says ${action}` };
    const refusal = refusedBy(parked, decision, at);
    if (refusal === undefined && (action === 'approve' || action === 'reject')) {
      speak(parked, { ...decision, action }, at);
    }
    return { said, refusal, ended, voicesBefore };
  });
  return { voices: parked.voices, answers, resolution: resolutionOf({ need }, parked.voices) };
}

const anySaid: fc.Arbitrary<Said> = fc.record({
  actor: fc.constantFrom(...ASKED, ...ASKED, ...OUTSIDERS),
  action: fc.oneof(
    { weight: 5, arbitrary: fc.constant<'approve'>('approve') },
    { weight: 1, arbitrary: fc.constant<'reject'>('reject') },
    { weight: 1, arbitrary: fc.constantFrom<Said['action']>('retry', 'skip', 'flush') },
  ),
  at: fc.integer({ min: 0, max: 1_200 }),
});
const anyNeed = fc.integer({ min: 1, max: ASKED.length });
const anySequence = fc
  .array(anySaid, { maxLength: 25 })
  .map((sequence) => sequence.toSorted((a, b) => a.at - b.at));

describe('an approval, over random sequences of decisions', () => {
  const holds = (check: (need: number, sequence: readonly Said[]) => void): void => {
    fc.assert(fc.property(anyNeed, anySequence, check), { numRuns: 3_000 });
  };

  it('gives one voice to each of those who are asked, and none to anybody else', () => {
    holds((need, sequence) => {
      const { voices } = drive(need, sequence);
      const names = voices.map(({ approver }) => approver);
      assert.equal(new Set(names).size, names.length);
      assert.ok(names.every((name) => ASKED.includes(name)));
    });
  });

  it('is approved by exactly as many different people as are needed, the last of whom is named', () => {
    holds((need, sequence) => {
      const { voices, resolution } = drive(need, sequence);
      const approvals = voices.filter(({ action }) => action === 'approve');
      const rejected = voices.length > approvals.length;
      if (rejected) return assert.equal(resolution?.action, 'reject');
      assert.equal(resolution?.action, approvals.length >= need ? 'approve' : undefined);
      assert.ok(approvals.length <= need, 'nobody is counted beyond the need');
      if (resolution !== undefined) assert.equal(resolution.actor, approvals.at(-1)?.approver);
    });
  });

  it('is rejected by one, who is named with the reason', () => {
    holds((need, sequence) => {
      const { voices, resolution } = drive(need, sequence);
      const rejection = voices.find(({ action }) => action === 'reject');
      if (rejection === undefined) return;
      assert.deepEqual(resolution, {
        action: 'reject',
        actor: rejection.approver,
        reason: rejection.reason,
        via: 'api',
      });
      assert.equal(voices.at(-1), rejection, 'nothing is said after it');
    });
  });

  it('takes nothing new once it has ended: what got a receipt has counted', () => {
    holds((need, sequence) => {
      for (const { said, refusal, ended, voicesBefore } of drive(need, sequence).answers) {
        if (!ended || refusal !== undefined) continue;
        assert.ok(
          voicesBefore.some(
            ({ approver, action }) => approver === said.actor && action === said.action,
          ),
          `${said.actor} got a receipt after the end`,
        );
      }
    });
  });

  it('takes the same again as often as it comes, and nothing of it counts twice', () => {
    holds((need, sequence) => {
      const twice = sequence.flatMap((said) => [said, said]);
      assert.deepEqual(drive(need, twice).voices, drive(need, sequence).voices);
      for (const { said, refusal, voicesBefore } of drive(need, sequence).answers) {
        const stands = voicesBefore.find(({ approver }) => approver === said.actor);
        if (stands?.action === said.action && said.at < DUE_AT) assert.equal(refusal, undefined);
      }
    });
  });

  it('refuses with decision_invalid: who is not asked, the opposite of what one has said, other actions', () => {
    holds((need, sequence) => {
      for (const { said, refusal, voicesBefore } of drive(need, sequence).answers) {
        const isOther = said.action !== 'approve' && said.action !== 'reject';
        const stands = voicesBefore.find(({ approver }) => approver === said.actor);
        const isOpposite = stands !== undefined && stands.action !== said.action;
        const isWrong = isOther || !ASKED.includes(said.actor) || isOpposite;
        if (isOther || (isWrong && said.at < DUE_AT)) {
          assert.equal(refusal?.code, 'decision_invalid');
        }
        if (refusal?.code === 'decision_invalid') assert.ok(isWrong);
      }
    });
  });

  it('refuses with run_not_waiting what comes at its due time or later', () => {
    holds((need, sequence) => {
      const { answers, voices } = drive(need, sequence);
      assert.ok(voices.every(({ at }) => at < DUE_AT));
      for (const { said, refusal } of answers) {
        const isOther = said.action !== 'approve' && said.action !== 'reject';
        if (said.at >= DUE_AT && !isOther) assert.equal(refusal?.code, 'run_not_waiting');
      }
    });
  });

  it('does not depend on the order in which approvals come', () => {
    const anyApprovals = fc
      .uniqueArray(fc.constantFrom(...ASKED, ...OUTSIDERS))
      .chain((actors) =>
        fc.tuple(fc.constant(actors), fc.shuffledSubarray(actors, { minLength: actors.length })),
      );
    const approve = (actors: readonly string[]) =>
      actors.map((actor, at): Said => ({ actor, action: 'approve', at }));
    fc.assert(
      fc.property(anyNeed, anyApprovals, (need, [one, other]) => {
        assert.equal(
          drive(need, approve(one)).resolution?.action,
          drive(need, approve(other)).resolution?.action,
        );
      }),
    );
  });

  it('finds the same end in voices that are out of order', () => {
    const anyVoices = fc.uniqueArray(
      fc.record({
        approver: fc.constantFrom(...ASKED),
        action: fc.constantFrom('approve' as const, 'reject' as const),
        reason: fc.constant('because'),
        at: fc.integer(),
        via: fc.constantFrom('link' as const, 'api' as const),
      }),
      { selector: ({ approver }) => approver },
    );
    fc.assert(
      fc.property(anyNeed, anyVoices, (need, voices) => {
        const end = resolutionOf({ need }, voices)?.action;
        assert.equal(resolutionOf({ need }, voices.toReversed())?.action, end);
        if (voices.some(({ action }) => action === 'reject')) assert.equal(end, 'reject');
        else assert.equal(end, voices.length >= need ? 'approve' : undefined);
      }),
    );
  });
});

describe('what a park takes', () => {
  const voice = (approver: string, action: Voice['action']): Voice => ({
    approver,
    action,
    reason: 'because',
    at: 1,
    via: 'link',
  });
  const parked = (question: Question | undefined, voices: Voice[] = []) => ({
    step: 'step#1',
    voices,
    ...(question === undefined ? {} : { question }),
  });
  const codeOf = (asked: ReturnType<typeof parked>, fields: Partial<Decision>, now = 1) =>
    refusedBy(asked, { action: 'retry', actor: 'op', reason: 'because', ...fields }, now)?.code;

  it('is retry, skip and abort at a failed step and at a park, whoever says it', () => {
    const { dueAt: _, ...endless } = questionFor(1);
    for (const asked of [parked(undefined), parked({ ...endless, kind: 'park', approvers: [] })]) {
      for (const action of ['retry', 'skip', 'abort'] as const) {
        assert.equal(codeOf(asked, { action }), undefined);
      }
      for (const action of ['approve', 'reject'] as const) {
        assert.equal(codeOf(asked, { action }), 'decision_invalid');
      }
    }
  });

  it('is nothing at a park whose time is over', () => {
    const asked = parked({ ...questionFor(1), kind: 'park', approvers: [] });
    for (const action of ['retry', 'skip', 'abort'] as const) {
      assert.equal(codeOf(asked, { action }, DUE_AT - 1), undefined);
      assert.equal(codeOf(asked, { action }, DUE_AT), 'run_not_waiting');
    }
  });

  it('is an abort by anybody at an approval, until that has ended', () => {
    const action = 'abort' as const;
    assert.equal(codeOf(parked(questionFor(2), [voice('ana', 'approve')]), { action }), undefined);
    for (const ended of [
      [voice('ana', 'reject')],
      [voice('ana', 'approve'), voice('bo', 'approve')],
    ]) {
      assert.equal(codeOf(parked(questionFor(2), ended), { action }), 'run_not_waiting');
    }
    assert.equal(codeOf(parked(questionFor(2)), { action }, DUE_AT), 'run_not_waiting');
  });

  it('is no voice without a reason that the journal can keep', () => {
    const asked = parked(questionFor(2));
    for (const reason of [undefined, 7, 'x'.repeat(LIMITS.reasonCharactersMax + 1)]) {
      const fields = { action: 'approve', actor: 'ana', reason } as unknown as Decision;
      assert.equal(codeOf(asked, fields), 'decision_invalid');
    }
    assert.equal(codeOf(asked, { action: 'approve', actor: 'ana', reason: '' }), undefined);
  });

  it('notes how a voice came, and the api when it does not say', () => {
    const asked = parked(questionFor(2));
    speak(asked, { action: 'approve', actor: 'ana', reason: 'because', via: 'link' }, 5);
    speak(asked, { action: 'approve', actor: 'bo', reason: 'because' }, 6);
    assert.deepEqual(
      asked.voices.map(({ approver, via, at }) => [approver, via, at]),
      [
        ['ana', 'link', 5],
        ['bo', 'api', 6],
      ],
    );
  });
});

describe('the options', () => {
  const names = (count: number) => Array.from({ length: count }, (_, n) => `p${n}`);
  const valid: ApprovalOptions = {
    title: 'Access',
    from: ['ana', 'bo'],
    within: '2d',
    notify: async () => {},
  };
  const refuses = (check: () => unknown, message: RegExp, code = 'option_invalid') => {
    assert.throws(check, (error) => {
      assert.ok(TidegateError.is(error, code as 'option_invalid'), String(error));
      assert.match(error.message, message);
      return true;
    });
  };

  it('of an approval are checked, each naming itself', () => {
    const wrong: readonly [Partial<Record<keyof ApprovalOptions, unknown>>, RegExp][] = [
      [{ title: '' }, /title/],
      [{ title: 'x'.repeat(201) }, /title/],
      [{ from: [] }, /from/],
      [{ from: 'ana' }, /from/],
      [{ from: [''] }, /from/],
      [{ from: names(LIMITS.approversMax + 1) }, /from/],
      [{ from: ['x'.repeat(LIMITS.approverCharactersMax + 1)] }, /from/],
      [{ need: 0 }, /need/],
      [{ need: 1.5 }, /need/],
      [{ need: 3 }, /need must be a whole number from 1 to 2, got 3/],
      [{ from: ['ana', 'ana'], need: 2 }, /need/],
      [{ remindEvery: '999ms' }, /remindEvery/],
      [{ escalateAfter: '1d' }, /escalateTo/],
      [{ escalateTo: ['cto'] }, /escalateAfter/],
      [{ escalateAfter: '2d', escalateTo: ['cto'] }, /escalateAfter/],
      [{ escalateAfter: '1d', escalateTo: names(LIMITS.approversMax + 1) }, /escalateTo/],
      [{ context: 'x'.repeat(LIMITS.approvalContextBytesMax) }, /context/],
      [{ context: 'é'.repeat(LIMITS.approvalContextBytesMax / 2) }, /context/],
    ];
    for (const [fields, message] of wrong) {
      refuses(() => approvalRule({ ...valid, ...fields } as ApprovalOptions), message);
    }
    refuses(
      () => approvalRule({ ...valid, within: 'soon' as ApprovalOptions['within'] }),
      /approval within/,
      'duration_invalid',
    );
  });

  it('of an approval become a rule with defaults, and a name that comes twice is one person', () => {
    assert.deepEqual(approvalRule({ ...valid, from: ['ana', 'ana', 'bo'] }), {
      from: ['ana', 'bo'],
      escalateTo: [],
      need: 1,
      asking: { withinMs: 172_800_000 },
    });
    const full = approvalRule({
      ...valid,
      context: 'x'.repeat(LIMITS.approvalContextBytesMax - 2),
      need: 2,
      remindEvery: '1s',
      escalateAfter: '1d',
      escalateTo: ['cto'],
    });
    assert.deepEqual(full.asking, {
      withinMs: 172_800_000,
      remindEveryMs: 1_000,
      escalateAfterMs: 86_400_000,
    });
  });

  it('of a park are checked likewise', () => {
    refuses(() => parkRule({ reason: '' }), /reason/);
    refuses(() => parkRule({ reason: 'x'.repeat(2_001) }), /reason/);
    refuses(() => parkRule({ reason: 'r', errorClass: 'odd' as 'fatal' }), /errorClass/);
    refuses(() => parkRule({ reason: 'r', remindEvery: 10 }), /remindEvery/);
    refuses(() => parkRule({ reason: 'r', atMost: -1 }), /park atMost/, 'duration_invalid');
    assert.deepEqual(parkRule({ reason: 'r', atMost: '1h', remindEvery: '1m' }), {
      errorClass: 'persistent',
      rule: { withinMs: 3_600_000, remindEveryMs: 60_000 },
    });
  });
});
