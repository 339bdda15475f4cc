import { patched as patchedInHistory } from '@temporalio/workflow';
import { currentRun, type OpenWindow } from './run-scope.ts';

/**
 * Whether a window goes by a change of its flow's body: `true` for windows that come to this place after
 * the change was deployed, `false` for those that passed it before. The first answer is the window's, in
 * every branch, after continue-as-new and after a person's retry.
 *
 * Needed where a change adds, removes or reorders steps and runs may be open when it is deployed. Once no run is open
 * from before, put `deprecatePatch` in its place and remove the old branch.
 *
 * @param change names the change; unique in the flow, such as `'deal-digest/ask-first'`.
 * @throws TidegateError `flow_invalid` outside a flow's body.
 * @example
 * ```ts
 * if (patched('deal-digest/name-owner')) await crm.getOwner({ id });
 * ```
 */
export function patched(change: string): boolean {
  const { window } = currentRun('patched');
  // No step has a space before its number.
  const step = `patched ${change}`;
  const answered = window.steps.get(step);
  if (answered !== undefined) return answered === true;
  const answer = !isOnOldGround(window) && patchedInHistory(change);
  window.steps.set(step, answer);
  return answer;
}

/**
 * Whether this pass of the body has yet to come to something that an earlier pass did, one that had not
 * asked: it was code before the change. Temporal cannot know, to whom it is a new execution, or a new
 * line of code in an old one. New steps here would take the numbers and the results of old ones. Where this is
 * not certain (below a branch that failed), it errs towards the branch that would have run without the deploy.
 */
function isOnOldGround({ resuming, steps, occurrences }: OpenWindow): boolean {
  if (resuming !== undefined) return true;
  return [...steps.keys()].some((id) => {
    const [, name, number] = /^(?:outcome of )?(\S+)#(\d+)$/.exec(id) ?? [];
    return name !== undefined && (occurrences.get(name) ?? 0) < Number(number);
  });
}
