import type { ParkRow } from '../journal/rows.ts';
import type { Voice } from '../model/protocol.ts';
import type { LinkClaims } from './token.ts';

/** A question as the journal has it. */
export type Asked = ParkRow & { readonly question: NonNullable<ParkRow['question']> };

/** Where a question stands for one of those who were asked. */
export type Standing =
  | { readonly kind: 'open' }
  /** This approver has answered; others have not. */
  | { readonly kind: 'answered'; readonly voice: Voice }
  | { readonly kind: 'decided' }
  | { readonly kind: 'expired' }
  /** Its window ended, or it was taken back, without a decision. */
  | { readonly kind: 'withdrawn' }
  | { readonly kind: 'notAsked' };

/** Whether a park is something that approvers are asked. */
export const isApproval = (park: ParkRow | undefined): park is Asked =>
  park?.question?.kind === 'approval';

/**
 * A question right after an answer was taken: the run tells the journal about it a moment later, and
 * who has just answered must not read that nobody has.
 */
export function withAnswer(asked: Asked, voice: Voice): Asked {
  const voices = asked.voices.some(({ approver }) => approver === voice.approver)
    ? asked.voices
    : [...asked.voices, voice];
  const approvals = voices.filter(({ action }) => action === 'approve');
  const decides = voice.action === 'reject' || approvals.length >= asked.question.need;
  if (asked.decision !== undefined || !decides) return { ...asked, voices };
  const { action, reason, approver, via } = voice;
  return { ...asked, voices, decision: { action, reason, actor: approver, via } };
}

export function standingOf(
  { question, voices, decision, closedAt }: Asked,
  { approver }: Pick<LinkClaims, 'approver'>,
  now: Date,
): Standing {
  switch (decision?.action) {
    case 'approve':
    case 'reject':
      return { kind: 'decided' };
    case 'expired':
      return { kind: 'expired' };
    case undefined:
      break;
    default:
      return { kind: 'withdrawn' };
  }
  if (closedAt !== undefined) return { kind: 'withdrawn' };
  if (question.dueAt !== undefined && now.getTime() >= question.dueAt) return { kind: 'expired' };
  const voice = voices.find((said) => said.approver === approver);
  if (voice !== undefined) return { kind: 'answered', voice };
  return question.approvers.includes(approver) ? { kind: 'open' } : { kind: 'notAsked' };
}
