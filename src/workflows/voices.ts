/** Who may say what about a park, what has been said, and what it comes to. Pure. */
import { LIMITS } from '../model/limits.ts';
import type { Decision, Question, Resolution, Voice } from '../model/protocol.ts';
import type { Parked } from './run-scope.ts';

/** Why a decision is not taken. */
export interface Refusal {
  readonly code: 'run_not_waiting' | 'decision_invalid';
  readonly why: string;
}

type Asked = Pick<Parked, 'question' | 'voices' | 'step'>;

/**
 * Why this park does not take this decision at `now`; undefined when it does. Invariants, which the
 * property tests drive: only who is asked has a voice, one, which stands; nothing is taken once the
 * voices have ended it or its time is over, so what got a receipt has counted.
 */
export function refusedBy(parked: Asked, decision: Decision, now: number): Refusal | undefined {
  const { question, step, voices } = parked;
  const actions = actionsOf(question);
  if (!actions.includes(decision.action)) {
    return invalid(`${step} takes ${actions.join(', ')}, not ${decision.action}`);
  }
  if (question === undefined) return undefined;
  if (question.dueAt !== undefined && now >= question.dueAt) {
    return tooLate(`the time to decide about ${step} is over`);
  }
  if (question.kind === 'park') return undefined;
  const ended = resolutionOf(question, voices);
  if (decision.action !== 'abort') {
    if (!question.approvers.includes(decision.actor)) {
      return invalid(`${decision.actor} is not asked about ${step}`);
    }
    const said = voices.find(({ approver }) => approver === decision.actor);
    if (said?.action === decision.action) return undefined;
    if (said !== undefined) {
      return invalid(`${decision.actor} has said ${said.action} already, which stands`);
    }
    if (!isReason(decision.reason)) {
      return invalid(`reason must be a text of at most ${LIMITS.reasonCharactersMax} characters`);
    }
  }
  if (ended === undefined) return undefined;
  return tooLate(`${step} has ended: ${ended.action}, said by ${ended.actor}`);
}

/**
 * How voices end an approval, whatever the order in which they came. Invariants, which the property
 * tests drive: a rejection ends it, else as many approvals of different people as are needed do, and
 * nothing else.
 */
export function resolutionOf(
  { need }: Pick<Question, 'need'>,
  voices: readonly Voice[],
): Resolution | undefined {
  const rejection = voices.find(({ action }) => action === 'reject');
  if (rejection !== undefined) return spoken(rejection);
  const last = voices.at(need - 1);
  return last === undefined ? undefined : spoken(last);
}

const spoken = ({ action, approver, reason, via }: Voice): Resolution => ({
  action,
  actor: approver,
  reason,
  via,
});

/** Notes what one of the approvers says; the same said twice counts once. */
export function speak(
  parked: Pick<Parked, 'voices'>,
  decision: Decision & Pick<Voice, 'action'>,
  now: number,
): void {
  const { actor, action, reason, via } = decision;
  if (parked.voices.some(({ approver }) => approver === actor)) return;
  parked.voices.push({
    approver: actor,
    action,
    reason,
    at: now,
    via: via === 'link' ? 'link' : 'api',
  });
}

function actionsOf(question: Question | undefined): readonly Decision['action'][] {
  switch (question?.kind ?? 'park') {
    case 'park':
      return ['retry', 'skip', 'abort'];
    case 'approval':
      return ['approve', 'reject', 'abort'];
  }
}

// Anybody can send an update from the Web UI: what the journal could not keep must not stop the run.
const isReason = (reason: unknown): boolean =>
  typeof reason === 'string' && reason.length <= LIMITS.reasonCharactersMax;

const invalid = (why: string): Refusal => ({ code: 'decision_invalid', why });

const tooLate = (why: string): Refusal => ({ code: 'run_not_waiting', why });
