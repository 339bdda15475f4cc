import { TidegateError } from '../../model/error.ts';
import { LIMITS } from '../../model/limits.ts';
import { type Branch, type BranchStage, type BranchTask, runBranches } from '../branches.ts';
import { checkStepName } from '../step-name.ts';

/** How {@link fanOut} runs its branches. */
export interface FanOutOptions {
  /**
   * `collect`: every branch runs, and a failure stays in its branch. `stop`: after the first failure
   * no further branch begins, those that run are awaited, and that failure is thrown. No default.
   */
  readonly onFailure: 'collect' | 'stop';
  /** Branches that run at a time, from 1 to 50. A branch that waits for a person counts. @default 10 */
  readonly concurrency?: number;
}

/** How all branches ended. */
export interface FanOut<Branches> {
  /** `full`: every branch is done. `failed`: none is. `partial`: some are. */
  readonly status: 'full' | 'partial' | 'failed';
  /** By name, or in the order of the items. */
  readonly branches: Branches;
}

type NamedBranches = Readonly<Record<string, () => Promise<unknown>>>;

const CONCURRENCY_DEFAULT = 10;

/**
 * Runs branches beside each other, each with step ids of its own, and tells how each ended.
 *
 * A failure that a person can help parks at its step while the other branches go on. A bug (a plain
 * error) and a cancellation are no failure of a branch: they are thrown.
 *
 * @throws TidegateError `option_invalid`, naming the option. With `onFailure: 'stop'`, the first
 * failure of a branch.
 * @example
 * ```ts
 * const told = await fanOut(
 *   { chat: () => slack.postMessage(message), tracker: () => tracker.open(issue) },
 *   { onFailure: 'collect' },
 * );
 * if (told.branches.tracker.status === 'failed') ...
 *
 * await fanOut(data.lines, (line) => stock.reserve(line), { concurrency: 8, onFailure: 'stop' });
 * ```
 */
export function fanOut<Branches extends NamedBranches>(
  branches: Branches,
  options: FanOutOptions,
): Promise<
  FanOut<{ readonly [Name in keyof Branches]: Branch<Awaited<ReturnType<Branches[Name]>>> }>
>;
export function fanOut<Item, Value>(
  items: readonly Item[],
  branch: (item: Item, index: number) => Promise<Value>,
  options: FanOutOptions,
): Promise<FanOut<readonly Branch<Value>[]>>;
export async function fanOut(
  ...args:
    | [NamedBranches, FanOutOptions]
    | [readonly unknown[], (item: unknown, index: number) => Promise<unknown>, FanOutOptions]
): Promise<FanOut<unknown>> {
  if (args.length === 3) {
    const [items, branch, options] = args;
    const list = items.map((item, index) => ({
      name: String(index),
      run: () => branch(item, index),
    }));
    const ended = await runAll(list, options);
    return { status: statusOf(ended), branches: ended };
  }
  const [named, options] = args;
  const list = Object.entries(named).map(([name, run]) => ({ name, run }));
  const ended = await runAll(list, options);
  const branches = Object.fromEntries(list.map(({ name }, index) => [name, ended[index]]));
  return { status: statusOf(ended), branches };
}

/** {@link FanOutOptions}, checked. */
export interface FanOutRule {
  readonly concurrency: number;
  readonly onFailure: 'collect' | 'stop';
}

/** Checks the options. */
export function fanOutRule(options: FanOutOptions): FanOutRule {
  const { concurrency = CONCURRENCY_DEFAULT, onFailure } = options;
  const max = LIMITS.fanOutConcurrencyMax;
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > max) {
    throw invalid(`concurrency must be a whole number from 1 to ${max}, got ${concurrency}`);
  }
  if (onFailure !== 'collect' && onFailure !== 'stop') {
    throw invalid(`onFailure must be 'collect' or 'stop', got ${JSON.stringify(onFailure)}`);
  }
  return { concurrency, onFailure };
}

/**
 * The pure rule: which branches begin now. Invariants, which the property tests drive through random
 * orders of completion: never more than `concurrency` at a time; every branch begins once with
 * `collect`; none begins after a failure with `stop`, nor after a cancellation, except those that had
 * begun before, which may hold a person's decision; in order otherwise.
 */
export function toBegin(stages: readonly BranchStage[], rule: FanOutRule): readonly number[] {
  const running = stages.filter((stage) => stage === 'running').length;
  const stopped =
    stages.includes('cancelled') || (rule.onFailure === 'stop' && stages.includes('failed'));
  const at = (wanted: BranchStage): readonly number[] =>
    stages.flatMap((stage, index) => (stage === wanted ? [index] : []));
  return [...at('begunBefore'), ...(stopped ? [] : at('waiting'))].slice(
    0,
    rule.concurrency - running,
  );
}

async function runAll(
  tasks: readonly BranchTask[],
  options: FanOutOptions,
): Promise<readonly Branch<unknown>[]> {
  const rule = fanOutRule(options);
  checkTasks(tasks);
  return await runBranches(tasks, {
    step: 'fanOut',
    throwsFailure: rule.onFailure === 'stop',
    toBegin: (stages) => toBegin(stages, rule),
  });
}

function checkTasks(tasks: readonly BranchTask[]): void {
  const max = LIMITS.fanOutBranchesMax;
  if (tasks.length > max) {
    throw invalid(`at most ${max} branches, got ${tasks.length}; give each part a flow of its own`);
  }
  for (const { name } of tasks) checkStepName(name, 'fanOut: a branch');
}

/** What the branches came to together; with no branch at all, `full`. */
export function statusOf(branches: readonly Branch<unknown>[]): FanOut<unknown>['status'] {
  const done = branches.filter(({ status }) => status === 'done').length;
  if (done === branches.length) return 'full';
  return done === 0 ? 'failed' : 'partial';
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `fanOut: ${problem}`);
