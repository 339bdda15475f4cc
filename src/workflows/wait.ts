/**
 * The one place where a step of a flow waits: for what comes, for its time, or for the run to
 * continue as new, which it survives with the state that it carries.
 */
import { condition } from '@temporalio/workflow';
import { mayContinueAsNew, type RunScope } from './run-scope.ts';

export interface Waiting {
  /** The step's id. */
  readonly step: string;
  /** For the timer, as the Web UI shows it. */
  readonly summary: string;
  /** Whether there is something to do. */
  isOver(): boolean;
  /** When there will be something to do if nothing comes, after now; undefined: never. */
  dueAt(): number | undefined;
  /** What the step needs to go on in a new execution. Plain JSON. */
  carry(): unknown;
}

/**
 * Resolves when there is something to do. A run that has grown meanwhile continues as new: this
 * execution then never gets here again.
 */
export async function waitUntil(scope: RunScope, waiting: Waiting): Promise<void> {
  const isAwake = (): boolean => waiting.isOver() || mayContinueAsNew(scope);
  for (;;) {
    if (waiting.isOver()) return;
    if (mayContinueAsNew(scope)) {
      scope.isContinuing = true;
      scope.continueWith({ step: waiting.step, state: waiting.carry() });
      return await new Promise<never>(() => {});
    }
    const dueAt = waiting.dueAt();
    if (dueAt === undefined) await condition(isAwake);
    else {
      const mark = scope.inHistory.mark();
      const { summary } = waiting;
      const isDue = !(await condition(isAwake, dueAt - Date.now(), { summary }));
      if (isDue) scope.inHistory.through(mark);
    }
  }
}
