import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Journal } from '../../src/journal/journal.ts';
import { onBothDatabases } from './both-databases.ts';
import { ALL_LANES, freshRun, numbersOf, oneTo } from './entries.ts';

const HOLDER = 'the dispatcher';
const EXECUTIONS = ['execution-1', 'execution-2'] as const;

/** What may happen to a run, in any order; the share says how far of what is possible. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('append'), events: fc.integer({ min: 1, max: 4 }) } as const),
  fc.record({ kind: fc.constant('appendAgain') } as const),
  fc.record({ kind: fc.constant('markSent'), share: fc.nat(100) } as const),
  fc.record({
    kind: fc.constant('open'),
    share: fc.nat(100),
    execution: fc.constantFrom(...EXECUTIONS),
  } as const),
  fc.record({
    kind: fc.constant('settle'),
    share: fc.nat(100),
    execution: fc.constantFrom(...EXECUTIONS),
  } as const),
  fc.record({ kind: fc.constant('settleLost'), share: fc.nat(100) } as const),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** A run as it should be: for each settled number, its outcome. */
interface Model {
  readonly accepted: number;
  readonly sent: number;
  readonly outcomes: readonly string[];
}

const settled = (model: Model, through: number, outcome: string): Model => {
  const more = Math.max(0, through - model.outcomes.length);
  return {
    ...model,
    sent: Math.max(model.sent, more > 0 ? through : 0),
    outcomes: [...model.outcomes, ...Array.from({ length: more }, () => outcome)],
  };
};

onBothDatabases('the watermarks of a run', ({ fresh }) => {
  let journal: Journal;
  before(async () => {
    journal = await fresh();
    await journal.leaseLanes(HOLDER, 600_000);
  });
  after(() => journal.releaseLanes(HOLDER));

  async function take(step: Step, model: Model, { run, entry }: ReturnType<typeof freshRun>) {
    const through = 'share' in step ? Math.round((model.accepted * step.share) / 100) : 0;
    switch (step.kind) {
      case 'append': {
        const results = await journal.append(oneTo(step.events).map(() => entry()));
        const numbers = oneTo(step.events).map((nth) => model.accepted + nth);
        assert.deepEqual(numbersOf(results), numbers);
        return { ...model, accepted: model.accepted + step.events };
      }
      case 'appendAgain': {
        const [known] = await journal.deliveriesAfter(run, 0, { count: 1, bytes: 1 });
        if (known === undefined) return model;
        const [again] = await journal.append([entry(known.event)]);
        assert.equal(again?.status, 'duplicate');
        return model;
      }
      case 'markSent':
        await journal.markSent(HOLDER, [{ run, through }]);
        return { ...model, sent: Math.max(model.sent, through) };
      case 'open': {
        if (model.accepted === 0) return model;
        const firstNumber = Math.max(1, through);
        const opened = settled(model, firstNumber - 1, 'lost');
        const result = await journal.activities['journal.open']({
          run,
          workflowRunId: step.execution,
          firstNumber,
        });
        assert.equal(result.settledThrough, opened.outcomes.length);
        return opened;
      }
      case 'settle': {
        const outcome = 'completed';
        const workflowRunId = step.execution;
        await journal.activities['journal.settle']({ run, workflowRunId, through, outcome });
        return settled(model, through, outcome);
      }
      case 'settleLost': {
        const lost = settled(model, through, 'lost');
        assert.equal(
          await journal.settleLost(run, through, 'terminated'),
          lost.outcomes.length > model.outcomes.length,
        );
        return lost;
      }
      default:
        return step satisfies never;
    }
  }

  async function assertLike(model: Model, { run }: ReturnType<typeof freshRun>): Promise<void> {
    const row = await journal.findRun(run);
    if (row === undefined) {
      assert.equal(model.accepted, 0);
      return;
    }
    const { acceptedThrough, sentThrough, settledThrough, settlements } = row;
    assert.deepEqual(
      { acceptedThrough, sentThrough, settledThrough },
      {
        acceptedThrough: model.accepted,
        sentThrough: model.sent,
        settledThrough: model.outcomes.length,
      },
    );
    assert.equal(row.status, settledThrough === acceptedThrough ? 'settled' : 'open');
    const outcomes = settlements.flatMap(({ fromNumber, throughNumber, outcome }) =>
      oneTo(throughNumber - fromNumber + 1).map((nth) => [fromNumber + nth - 1, outcome]),
    );
    assert.deepEqual(
      outcomes,
      model.outcomes.map((outcome, index) => [index + 1, outcome]),
    );
    const pending = await journal.pendingRuns(ALL_LANES, 10_000);
    assert.equal(
      pending.some((other) => other.run === run),
      model.sent < model.accepted,
    );
  }

  it('give every delivery exactly one outcome, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const own = freshRun();
        let model: Model = { accepted: 0, sent: 0, outcomes: [] };
        for (const next of steps) {
          model = await take(next, model, own);
          await assertLike(model, own);
        }
        model = await take({ kind: 'settle', share: 100, execution: 'execution-2' }, model, own);
        await assertLike(model, own);
        assert.equal(model.outcomes.length, model.accepted);
      }),
      { numRuns: 60 },
    );
  });

  it('hold when everything happens to a run at the same time', async () => {
    const { run, entry } = freshRun();
    await journal.append([entry()]);
    const through = (number: number) => ({ run, workflowRunId: 'execution-1', through: number });
    await Promise.all(
      oneTo(30).map(async (nth) => {
        await journal.append([entry(), entry()]);
        await journal.markSent(HOLDER, [{ run, through: nth }]);
        await journal.activities['journal.settle']({ ...through(nth), outcome: 'completed' });
        await journal.activities['journal.open']({
          run,
          workflowRunId: 'execution-2',
          firstNumber: nth,
        });
      }),
    );
    const row = await journal.findRun(run);
    assert.equal(row?.acceptedThrough, 61);
    assert.ok(row.settledThrough <= row.sentThrough && row.sentThrough <= 61);
    await journal.activities['journal.settle']({ ...through(61), outcome: 'completed' });
    const deliveries = await journal.deliveriesAfter(run, 0, { count: 100, bytes: 1_000_000 });
    assert.equal(deliveries.length, 61);
    for (const { event } of deliveries) {
      const [found] = await journal.findEvents(event.tenantid, event.id);
      assert.equal(found?.deliveries[0]?.state, 'settled');
    }
  });
});
