import { z } from 'zod';
import type { Journal } from '../journal/journal.ts';
import { isStorable } from '../journal/text.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Decision, Voice } from '../model/protocol.ts';
import type { RunOperations } from '../operator/run-operations.ts';
import { takeDecision } from '../operator/take-decision.ts';
import type { Logger } from '../telemetry.ts';
import type { Outcome, QuestionView } from './page.ts';
import { type Asked, isApproval, standingOf, withAnswer } from './standing.ts';
import { type LinkClaims, readLink } from './token.ts';

export interface AnswerOptions {
  readonly journal: Pick<Journal, 'findPark' | 'audit'>;
  readonly runs: Pick<RunOperations, 'decide'>;
  /** Any of them may have signed a link; none: nobody can use one. */
  readonly secrets: readonly string[];
  readonly logger: Logger;
  readonly now: () => Date;
}

/** What an approver says. */
export type Answer = Pick<Voice, 'action' | 'reason'>;

/** What a token leads to. */
export type OpenedLink =
  | { readonly kind: 'question'; readonly claims: LinkClaims; readonly asked: Asked }
  | { readonly kind: 'unknown' | 'expired' | 'gone' };
type Question = Extract<OpenedLink, { kind: 'question' }>;

/** @throws TidegateError `config_invalid` without a secret, `journal_unavailable`. */
export async function openLink(
  { journal, secrets, now }: AnswerOptions,
  token: string,
): Promise<OpenedLink> {
  if (secrets.length === 0) {
    throw new TidegateError(
      'config_invalid',
      'TIDEGATE_LINK_SECRET is not set for this ingress, so it can read no approval link.',
    );
  }
  const link = await readLink(token, secrets, now());
  if (link.status !== 'valid') return { kind: link.status };
  const { claims } = link;
  const asked = await journal.findPark(claims.run, claims.parkId);
  return isApproval(asked) ? { kind: 'question', claims, asked } : { kind: 'gone' };
}

/** The question as it stands for this approver now. */
export function viewOf({ claims, asked }: Omit<Question, 'kind'>, now: Date): QuestionView {
  const { run, approver } = claims;
  return { run, approver, asked, standing: standingOf(asked, claims, now), now };
}

/**
 * Says something about a question, and what came of it. The same answer again changes nothing.
 *
 * @throws TidegateError `journal_unavailable`
 */
export async function giveAnswer(
  options: AnswerOptions,
  question: Question,
  answer: Answer,
): Promise<QuestionView> {
  const view = viewOf(question, options.now());
  return view.standing.kind === 'open'
    ? await handOver(options, question, answer)
    : withoutRun(view, answer);
}

/** What there is to say when the journal knows already that the answer changes nothing. */
function withoutRun(view: QuestionView, { action }: Answer): QuestionView {
  const { standing, asked, approver } = view;
  switch (standing.kind) {
    case 'answered':
      return { ...view, outcome: repeated(standing.voice, action) };
    case 'decided': {
      const voice = asked.voices.find((said) => said.approver === approver);
      if (voice === undefined) return { ...view, outcome: { kind: 'tooLate' } };
      // Outvoted: what the page says by itself, by whom and when it was decided, is all there is.
      const isOutvoted = voice.action !== asked.decision?.action && voice.action === action;
      return isOutvoted ? view : { ...view, outcome: repeated(voice, action) };
    }
    default:
      return view;
  }
}

const repeated = ({ action: said }: Voice, action: Voice['action']): Outcome =>
  said === action ? { kind: 'taken', action } : { kind: 'stands', said };

/** Gives the answer to the run, which alone knows whether it still counts. */
async function handOver(
  options: AnswerOptions,
  question: Question,
  answer: Answer,
): Promise<QuestionView> {
  const { logger, now } = options;
  const { claims } = question;
  const { run, parkId, approver } = claims;
  const decision: Decision = { ...answer, actor: approver, parkId, via: 'link' };
  try {
    await takeDecision(options, run, decision);
  } catch (error) {
    return await notTaken(options, question, answer, error);
  }
  logger.info({ run, action: answer.action }, 'took an answer by link');
  const voice: Voice = { ...answer, approver, at: now().getTime(), via: 'link' };
  const asked = withAnswer(await askedNow(options, question), voice);
  const outcome = { kind: 'taken', action: answer.action } as const;
  return { ...viewOf({ claims, asked }, now()), outcome };
}

/** What to say of an answer that the run has not taken. */
async function notTaken(
  options: AnswerOptions,
  question: Question,
  answer: Answer,
  error: unknown,
): Promise<QuestionView> {
  const { logger, now } = options;
  if (!TidegateError.is(error)) throw error;
  logger.info({ run: question.claims.run, code: error.code }, 'an answer by link was not taken');
  switch (error.code) {
    case 'temporal_unavailable': {
      const { reason } = answer;
      return { ...viewOf(question, now()), outcome: { kind: 'notReached' }, reason };
    }
    case 'run_not_waiting': {
      const asked = await askedNow(options, question);
      const view = viewOf({ ...question, asked }, now());
      // The journal will say why in a moment.
      const isBehind = view.standing.kind === 'open';
      return isBehind ? { ...view, standing: { kind: 'withdrawn' } } : withoutRun(view, answer);
    }
    case 'decision_invalid': {
      const asked = await askedNow(options, question);
      const said = answer.action === 'approve' ? 'reject' : 'approve';
      return { ...viewOf({ ...question, asked }, now()), outcome: { kind: 'stands', said } };
    }
    default:
      throw error;
  }
}

/** The question as the journal has it now. */
async function askedNow({ journal }: AnswerOptions, { claims, asked }: Question): Promise<Asked> {
  const found = await journal.findPark(claims.run, claims.parkId);
  return isApproval(found) ? found : asked;
}

const Form = z.object({
  action: z.enum(['approve', 'reject']),
  reason: z.string().default(''),
});

/** A form as it was sent: an answer, or what is wrong with it for a person to read. */
export function readForm(
  body: unknown,
): Answer | { readonly problem: string; readonly reason: string } {
  const parsed = Form.safeParse(body);
  if (!parsed.success) return { problem: 'Please press one of the two buttons.', reason: '' };
  const { action } = parsed.data;
  const reason = parsed.data.reason.replaceAll('\r\n', '\n').trim();
  if (reason.length > LIMITS.reasonCharactersMax) {
    const problem = `Please give a reason of at most ${LIMITS.reasonCharactersMax} characters.`;
    return { problem, reason };
  }
  if (!isStorable(reason)) {
    return { problem: 'The reason has a character that cannot be kept.', reason: '' };
  }
  if (action === 'reject' && reason === '') {
    return { problem: 'Please say why you reject it: somebody waits for the answer.', reason };
  }
  return { action, reason };
}
