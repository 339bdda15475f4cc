import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
} from '@temporalio/workflow';
import { showStage } from '../details.ts';
import {
  classOf,
  type FailureSummary,
  failureOf,
  isAborted,
  isBug,
  summaryOf,
} from '../failure.ts';
import { forgetFailures, keepOutcome, outcomeOf } from '../outcomes.ts';
import { parkAt, withdrawParks } from '../park.ts';
import { activeStep, currentRun, nextStep, type RunInWindow } from '../run-scope.ts';
import { checkStepName } from '../step-name.ts';
import { below, stepPrefix } from '../step-scope.ts';

/**
 * Does one step of a saga and returns what `act` returns. `undo` is registered before `act` runs: it
 * gets what `act` returned, or `undefined` when that is not known, and must then look up whether
 * there is anything to undo. It must be harmless when done twice.
 */
export type SagaStep = <Result>(
  name: string,
  act: () => Promise<Result>,
  undo: (result: Result | undefined) => Promise<unknown>,
) => Promise<Result>;

/** A step that has begun. */
export interface BegunStep {
  readonly id: string;
  readonly undoId: string;
  readonly undo: () => Promise<unknown>;
  /** `leftUndone`: a person decided that its undo is not done. */
  status: 'begun' | 'done' | 'undone' | 'leftUndone';
}

/** What is kept of a saga while its window is open. */
type SagaOutcome =
  | { readonly status: 'compensated'; readonly attempt: number; readonly error: FailureSummary }
  | { readonly status: 'anew'; readonly attempt: number };

/**
 * Steps that are all done or, after a failure or a cancellation, all undone: newest first, not to be
 * cancelled, each once. Then the failure is thrown on. An undo that fails waits for a person.
 *
 * A bug (a plain error) undoes nothing: it is thrown, and a fixed build goes on where it was.
 *
 * @throws TidegateError `option_invalid` for a step's name. The failure that made it undo, or the
 * cancellation.
 * @example
 * ```ts
 * await saga(async (step) => {
 *   const held = await step('reserve', () => stock.reserve(order), () => stock.release(order));
 *   await step('charge', () => billing.charge(order), () => billing.refund(order));
 * });
 * ```
 */
export async function saga<Result>(work: (step: SagaStep) => Promise<Result>): Promise<Result> {
  const scope = currentRun('saga');
  const id = nextStep(scope.window, 'saga');
  const before = outcomeOf(scope.window, id) as SagaOutcome | undefined;
  if (before?.status === 'compensated') throw failureOf(before.error);
  const attempt = before?.attempt ?? 1;
  const attemptId = attempt === 1 ? id : `${id}~${attempt}`;
  const begun: BegunStep[] = [];
  const keep = keeper(scope, attemptId, begun);
  const steps = createSteps(scope, begun, keep);
  scope.open.set(attemptId, () => ({
    kind: 'saga',
    standing: progress(begun),
    state: shown(begun),
  }));
  try {
    const result = await below(attemptId, () => work(steps.step));
    await keep('at its end', 'completed');
    return result;
  } catch (error) {
    if (isBug(error)) throw error;
    await CancellationScope.nonCancellable(() =>
      // Active all the while: a run that undoes does not continue as new, which would act again.
      activeStep(scope, async () => {
        await steps.close();
        await withdrawParks(scope);
        await compensate(scope, begun, keep);
      }),
    );
    if (!isCancellation(error)) {
      const compensated: SagaOutcome = { status: 'compensated', attempt, error: summaryOf(error) };
      keepOutcome(scope.window, id, compensated);
    }
    throw error;
  } finally {
    scope.open.delete(attemptId);
  }
}

type SagaStatus = 'acting' | 'completed' | 'compensating' | 'compensated';

/** Keeps the saga's record in the journal, for who looks at it while it runs or after it was cut off. */
type Keep = (moment: string, status: SagaStatus) => Promise<void>;

function keeper(scope: RunInWindow, id: string, begun: readonly BegunStep[]): Keep {
  return async (moment, status) => {
    // A body that runs again comes by here again, and the journal knows it already.
    const kept = `${id} kept ${moment}`;
    if (outcomeOf(scope.window, kept) !== undefined) return;
    await scope.journal.record({
      run: scope.input.run,
      window: scope.window.first.number,
      step: id,
      kind: 'saga',
      record: { status, steps: shown(begun) },
    });
    keepOutcome(scope.window, kept, { status: 'kept' });
  };
}

const shown = (steps: readonly BegunStep[]) =>
  steps.map(({ id, status }) => ({ step: id, status }));

interface Steps {
  readonly step: SagaStep;
  /** Lets no further step begin and waits for the acts that run. */
  close(): Promise<void>;
}

function createSteps(scope: RunInWindow, begun: BegunStep[], keep: Keep): Steps {
  const running = new Set<Promise<unknown>>();
  let isClosed = false;

  const recorded = async (registered: BegunStep): Promise<void> => {
    try {
      await keep(`before ${registered.id}`, 'acting');
    } catch (error) {
      // It was cancelled before its act began: there is nothing to undo.
      begun.splice(begun.indexOf(registered), 1);
      throw error;
    }
  };

  return {
    async step(name, act, undo) {
      checkStepName(name, 'saga: a step');
      if (isClosed) {
        throw ApplicationFailure.nonRetryable(`${name} comes after its saga has failed`, 'fatal');
      }
      // It would not act any more, so there would be nothing to undo.
      if (CancellationScope.current().consideredCancelled) {
        throw new CancelledFailure(`${name} was cancelled before it began`);
      }
      const prefix = stepPrefix();
      const id = nextStep(scope.window, name);
      let result: Awaited<ReturnType<typeof act>> | undefined;
      const registered: BegunStep = {
        id,
        undoId: `${prefix}undo ${id.slice(prefix.length)}`,
        undo: () => undo(result),
        status: 'begun',
      };
      begun.push(registered);
      const acting = recorded(registered).then(() => below(id, act));
      running.add(acting);
      try {
        result = await acting;
        registered.status = 'done';
        return result;
      } finally {
        running.delete(acting);
      }
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(running);
    },
  };
}

/**
 * The pure rule: which step is undone next. Invariants, which the property tests drive: newest
 * first, each once, none left out.
 */
export function nextToUndo(steps: readonly Pick<BegunStep, 'status'>[]): number | undefined {
  const index = steps.findLastIndex(({ status }) => status === 'begun' || status === 'done');
  return index === -1 ? undefined : index;
}

async function compensate(
  scope: RunInWindow,
  steps: readonly BegunStep[],
  keep: Keep,
): Promise<void> {
  for (;;) {
    const step = steps[nextToUndo(steps) ?? -1];
    if (step === undefined) break;
    showStage(scope, 'running', `${step.undoId}; ${progress(steps)}`);
    await keep(`before ${step.undoId}`, 'compensating');
    step.status = await undone(scope, step);
  }
  if (steps.length === 0) return;
  await keep('at its end', 'compensated');
  showStage(scope, 'running', `undone: ${progress(steps)}`);
}

async function undone(scope: RunInWindow, step: BegunStep): Promise<'undone' | 'leftUndone'> {
  for (;;) {
    restart(scope, step.undoId);
    try {
      await below(step.undoId, step.undo);
      return 'undone';
    } catch (error) {
      if (isBug(error)) throw error;
      // A person gave up a call of this undo already: no need to ask again.
      if (isAborted(error)) return 'leftUndone';
      const why = { errorClass: classOf(error), reason: summaryOf(error).message };
      const decision = await parkAt(scope, step.undoId, why);
      if (decision.action === 'skip') return 'undone';
      if (decision.action === 'abort') return 'leftUndone';
    }
  }
}

/** An undo that runs again counts its steps from its beginning: those it has finished stay finished. */
function restart({ window }: RunInWindow, undoId: string): void {
  forgetFailures(window, undoId);
  for (const name of window.occurrences.keys()) {
    if (name.startsWith(`${undoId}/`)) window.occurrences.delete(name);
  }
}

function progress(steps: readonly BegunStep[]): string {
  const count = (wanted: BegunStep['status']): number =>
    steps.filter(({ status }) => status === wanted).length;
  const left = count('leftUndone');
  return `${steps.length} begun, ${count('undone')} undone${left === 0 ? '' : `, ${left} left as they are`}`;
}
