/** The one place where branches run beside each other. A rule says which begin; this runs them. */
import { isCancellation } from '@temporalio/workflow';
import { type FailureSummary, failureOf, isBug, summaryOf } from './failure.ts';
import { keepOutcome, outcomeOf } from './outcomes.ts';
import { currentRun, nextStep, type RunInWindow } from './run-scope.ts';
import { below } from './step-scope.ts';

/** How one branch ended. */
export type Branch<Value> =
  | {
      readonly status: 'done';
      readonly value: Value;
      /** From its beginning to its end, waiting for a person included. */
      readonly durationMs: number;
    }
  | {
      readonly status: 'failed';
      readonly error: FailureSummary;
      readonly durationMs: number;
    };

/** Where a branch is; `begunBefore`: it began in this window before the body ran again. */
export type BranchStage = 'waiting' | 'begunBefore' | 'running' | 'done' | 'failed' | 'cancelled';

/** A branch before it runs. */
export interface BranchTask {
  readonly name: string;
  readonly run: () => Promise<unknown>;
}

/** What is kept of a branch while its window is open. Its value comes from its finished steps. */
type BranchOutcome =
  | { readonly status: 'begun' }
  | { readonly status: 'done'; readonly durationMs: number }
  | { readonly status: 'failed'; readonly durationMs: number; readonly error: FailureSummary };

export interface BranchesOptions {
  readonly step: string;
  /** Whether the first failure is thrown, once all that runs has ended. */
  readonly throwsFailure: boolean;
  /** The rule: which branches begin now. */
  readonly toBegin: (stages: readonly BranchStage[]) => readonly number[];
}

export async function runBranches(
  tasks: readonly BranchTask[],
  options: BranchesOptions,
): Promise<readonly Branch<unknown>[]> {
  const scope = currentRun(options.step);
  const id = nextStep(scope.window, options.step);
  const stages: BranchStage[] = tasks.map(({ name }) =>
    outcomeOf(scope.window, `${id}/${name}`) === undefined ? 'waiting' : 'begunBefore',
  );
  const ended = new Map<number, Branch<unknown>>();
  const running = new Map<number, Promise<number>>();
  // The first failure when it is to be thrown, or the cancellation.
  const thrown: unknown[] = [];

  const begin = async (index: number, task: BranchTask): Promise<number> => {
    try {
      const branch = await runBranch(scope, `${id}/${task.name}`, task.run, (failure) => {
        if (options.throwsFailure) thrown.push(failure);
      });
      ended.set(index, branch);
      stages[index] = branch.status;
    } catch (error) {
      if (!isCancellation(error)) throw error;
      thrown.unshift(error);
      stages[index] = 'cancelled';
    }
    return index;
  };

  for (;;) {
    for (const index of options.toBegin(stages)) {
      const task = tasks[index];
      if (task === undefined) continue;
      stages[index] = 'running';
      running.set(index, begin(index, task));
    }
    if (running.size === 0) break;
    running.delete(await Promise.race(running.values()));
  }
  if (thrown.length > 0) throw thrown[0];
  return tasks.flatMap((_, index) => ended.get(index) ?? []);
}

async function runBranch(
  scope: RunInWindow,
  id: string,
  run: () => Promise<unknown>,
  onFailure: (failure: unknown) => void,
): Promise<Branch<unknown>> {
  const before = outcomeOf(scope.window, id) as BranchOutcome | undefined;
  if (before?.status === 'failed') {
    onFailure(failureOf(before.error));
    return before;
  }
  if (before === undefined) keepOutcome(scope.window, id, { status: 'begun' });
  const begunAt = Date.now();
  const durationMs = () => (before?.status === 'done' ? before.durationMs : Date.now() - begunAt);
  try {
    const value = await below(id, run);
    const done = { status: 'done', durationMs: durationMs() } as const;
    keepOutcome(scope.window, id, done);
    return { ...done, value };
  } catch (error) {
    if (isCancellation(error) || isBug(error)) throw error;
    const failed = { status: 'failed', error: summaryOf(error), durationMs: durationMs() } as const;
    keepOutcome(scope.window, id, failed);
    onFailure(error);
    return failed;
  }
}
