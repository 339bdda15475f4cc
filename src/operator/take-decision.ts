import { createHash } from 'node:crypto';
import type { AuditEntry } from '../journal/audit-log.ts';
import type { Journal } from '../journal/journal.ts';
import { TidegateError } from '../model/error.ts';
import type { Decision, DecisionReceipt } from '../model/protocol.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import type { RunOperations } from './run-operations.ts';

/** What it takes to hand a decision over. */
export interface DecisionTakers {
  readonly journal: Pick<Journal, 'findPark' | 'audit'>;
  readonly runs: Pick<RunOperations, 'decide'>;
}

/**
 * Hands a decision to its run. The same decision again is harmless and gets the same receipt, however
 * far the run has gone on since.
 *
 * @param name what makes it the same decision. Default: its action and its park.
 * @throws TidegateError `run_not_waiting` · `decision_invalid` · `temporal_unavailable`
 */
export async function takeDecision(
  { journal, runs }: DecisionTakers,
  run: RunId,
  decision: Decision,
  name = parkName(decision),
): Promise<DecisionReceipt> {
  const updateId = updateIdOf(run, decision, name);
  const receipt = await runs.decide(run, decision, updateId).catch(async (error: unknown) => {
    const earlier = await earlierReceipt(journal, run, decision, error);
    if (earlier === undefined) throw error;
    return earlier;
  });
  // After the run, which alone knows whether it counts. When this fails, so does the request, and its
  // repetition writes the entry. One park is decided once, whatever keys its requests had.
  const act = decision.parkId === undefined ? name : parkName(decision);
  await journal.audit.record(auditEntry(run, decision, updateIdOf(run, decision, act)));
  return receipt;
}

function auditEntry(
  run: RunId,
  { action, actor, reason, parkId, via }: Decision,
  act: string,
): AuditEntry {
  const tenant = parseRunId(run)?.tenant;
  return {
    actor,
    action: `run.${action}`,
    target: run,
    reason,
    ...(tenant !== undefined && { tenant }),
    details: { ...(parkId !== undefined && { parkId }), ...(via !== undefined && { via }) },
    act,
  };
}

const parkName = ({ action, parkId }: Decision): string => `${action} park ${parkId}`;

/** Whether it is one of the approvers who speaks, rather than an operator who decides. */
export const isVoice = (action: Decision['action']): action is 'approve' | 'reject' =>
  action === 'approve' || action === 'reject';

/** Temporal answers an update id it has seen with the first answer, within one execution of a run. */
function updateIdOf(run: RunId, { action, actor }: Decision, name: string): string {
  // Two approvers who say the same say it twice: neither may be taken for the other's repetition.
  const text = isVoice(action) ? `${run}\n${name}\n${actor}` : `${run}\n${name}`;
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The receipt of this same decision, when the run took it and has gone on since: past the execution
 * that remembers its update id, only the journal knows.
 */
async function earlierReceipt(
  journal: Pick<Journal, 'findPark'>,
  run: RunId,
  { action, actor, reason, parkId }: Decision,
  error: unknown,
): Promise<DecisionReceipt | undefined> {
  if (!TidegateError.is(error, 'run_not_waiting') || parkId === undefined) return undefined;
  const park = await journal.findPark(run, parkId);
  const isTaken = isVoice(action)
    ? park?.voices.some((voice) => voice.approver === actor && voice.action === action)
    : park?.decision?.action === action &&
      park.decision.actor === actor &&
      park.decision.reason === reason;
  return isTaken === true ? { parkId, action } : undefined;
}
