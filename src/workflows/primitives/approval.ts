import { approvalLinkReference } from '../../model/approval-link.ts';
import { type Duration, durationMs } from '../../model/duration.ts';
import { TidegateError } from '../../model/error.ts';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import type { Resolution, Voice } from '../../model/protocol.ts';
import { utf8Bytes } from '../../model/run.ts';
import { askPeople, type Notice } from '../ask-people.ts';
import type { AskingRule, NoticeKind } from '../asking.ts';
import { aborted } from '../failure.ts';
import type { Parked } from '../run-scope.ts';
import { resolutionOf } from '../voices.ts';
import { expired, remindEvery } from './park.ts';

/** How {@link approval} asks. */
export interface ApprovalOptions {
  /** What is to be approved, in one line of 1 to 200 characters: the heading of the page. */
  readonly title: string;
  /** What those who decide need to know, shown on the page. JSON of at most 16 KB. @default nothing */
  readonly context?: Json;
  /**
   * Who may decide: 1 to 20 people, each by a name of their own such as an email address. Each has one
   * voice, so name people, or a role that speaks with one voice.
   */
  readonly from: readonly string[];
  /** How many of them must approve. A whole number from 1, at most all of `from`. @default 1 */
  readonly need?: number;
  /** How long it waits at most. No default: always say it. */
  readonly within: Duration;
  /** How often `notify` is called again, at least a second. @default it is called once */
  readonly remindEvery?: Duration;
  /** After this long without an end, `escalateTo` may decide as well. Less than `within`. @default never */
  readonly escalateAfter?: Duration;
  /** Who may decide as well from then on. @default nobody */
  readonly escalateTo?: readonly string[];
  /** Tells people, by connectors. Its failures do not matter to the approval. */
  readonly notify: (notice: ApprovalNotice) => Promise<unknown>;
}

/** What {@link ApprovalOptions.notify} is given. */
export interface ApprovalNotice {
  readonly kind: NoticeKind;
  /** 1 for the first notice. */
  readonly number: number;
  readonly run: string;
  readonly title: string;
  /** Those who may decide and have not, each with a link of their own. */
  readonly approvers: readonly {
    readonly approver: string;
    /**
     * Stands for the link: what an operation is given with this text in it, its connector sends with
     * the signed link in its place. The link itself is in no history.
     */
    readonly link: string;
  }[];
  /** When nobody can decide any more, in milliseconds since 1970. */
  readonly dueAt: number;
}

/** Why an approval ended: enough have approved; one has rejected; the `deadline`. */
export type ApprovalClosedBy = 'need' | 'reject' | 'deadline';

/** How an approval ended. */
export interface ApprovalResult {
  readonly status: 'approved' | 'rejected' | 'timedOut';
  readonly closedBy: ApprovalClosedBy;
  /** What was said, in the order in which it came. */
  readonly voices: readonly Voice[];
  /** Who was asked and said nothing. */
  readonly pending: readonly string[];
  readonly escalated: boolean;
  readonly askedAt: number;
  readonly closedAt: number;
}

/**
 * Asks people and waits until enough of them have approved, or one has rejected, or the time is over.
 * Each ending is a value; none is thrown.
 *
 * A voice stands once it is given: the same again is harmless, the opposite is refused. Voices come
 * by the links of `notify` or by `POST /api/v1/runs/:run/decisions`.
 *
 * @throws ApplicationFailure of type `run_aborted` when an operator aborts. TidegateError
 * `option_invalid` or `duration_invalid`, naming the option.
 * @example
 * ```ts
 * const { status } = await approval({
 *   title: `Access to billing for ${first.data.email}`,
 *   from: ['ana@acme.example', 'bo@acme.example'],
 *   need: 2,
 *   within: '2d',
 *   notify: async ({ approvers }) => {
 *     for (const { approver, link } of approvers) {
 *       await slack.postMessage({ channel: '#access', text: `${approver}: ${link}` });
 *     }
 *   },
 * });
 * ```
 */
export async function approval(options: ApprovalOptions): Promise<ApprovalResult> {
  const rule = approvalRule(options);
  const { title, context, notify } = options;
  return await askPeople({
    name: 'approval',
    rule: rule.asking,
    why: { reason: `approval of ${title}` },
    question: {
      kind: 'approval',
      title,
      ...(context === undefined ? {} : { context }),
      approvers: rule.from,
      need: rule.need,
    },
    escalateTo: rule.escalateTo,
    shows: `${rule.need} of ${rule.from.join(', ')} must approve: ${title}`,
    notify: (notice) => notify(noticeOf(notice, title)),
    resolve: ({ voices, decision, ended }) => {
      if (decision !== undefined) return decision;
      return resolutionOf(rule, voices) ?? (ended ? expired(rule.asking) : undefined);
    },
    result: ({ step, resolution, parked, asking, closedAt }) => {
      if (resolution.action === 'abort') {
        throw aborted(step, { reason: `approval of ${title}` }, resolution.reason);
      }
      const closedBy = closedByOf(resolution);
      return {
        status: STATUS[closedBy],
        closedBy,
        voices: parked.voices,
        pending: pendingOf(parked),
        escalated: asking.escalated,
        askedAt: asking.askedAt,
        closedAt,
      };
    },
  });
}

const STATUS: Readonly<Record<ApprovalClosedBy, ApprovalResult['status']>> = {
  need: 'approved',
  reject: 'rejected',
  deadline: 'timedOut',
};

function closedByOf({ action }: Resolution): ApprovalClosedBy {
  if (action === 'approve') return 'need';
  return action === 'reject' ? 'reject' : 'deadline';
}

/** {@link ApprovalOptions}, checked. */
export interface ApprovalRule {
  readonly from: readonly string[];
  readonly escalateTo: readonly string[];
  readonly need: number;
  readonly asking: AskingRule & { readonly withinMs: number };
}

/** Checks the options. */
export function approvalRule(options: ApprovalOptions): ApprovalRule {
  const { title, context, from, escalateTo = [], need = 1 } = options;
  if (typeof title !== 'string' || title.length === 0 || title.length > 200) {
    throw invalid('title must be a text of 1 to 200 characters');
  }
  if (
    context !== undefined &&
    utf8Bytes(JSON.stringify(context)) > LIMITS.approvalContextBytesMax
  ) {
    throw invalid(`context must have at most ${LIMITS.approvalContextBytesMax} bytes as JSON`);
  }
  const approvers = checkedApprovers(from, 'from');
  if (approvers.length === 0) throw invalid('from must name somebody');
  if (!Number.isSafeInteger(need) || need < 1 || need > approvers.length) {
    throw invalid(`need must be a whole number from 1 to ${approvers.length}, got ${need}`);
  }
  const withinMs = durationMs(options.within, 'approval within');
  return {
    from: approvers,
    escalateTo: checkedApprovers(escalateTo, 'escalateTo'),
    need,
    asking: {
      withinMs,
      ...remindEvery(options.remindEvery, 'approval'),
      ...escalation(options, withinMs),
    },
  };
}

function escalation(
  { escalateAfter, escalateTo }: ApprovalOptions,
  withinMs: number,
): Pick<AskingRule, 'escalateAfterMs'> {
  if ((escalateAfter === undefined) !== (escalateTo === undefined)) {
    throw invalid('escalateAfter and escalateTo come together');
  }
  if (escalateAfter === undefined) return {};
  const escalateAfterMs = durationMs(escalateAfter, 'approval escalateAfter');
  if (escalateAfterMs < withinMs) return { escalateAfterMs };
  throw invalid(`escalateAfter (${escalateAfter}) must be less than within`);
}

const pendingOf = ({ question, voices }: Pick<Parked, 'question' | 'voices'>): readonly string[] =>
  (question?.approvers ?? []).filter(
    (approver) => !voices.some((voice) => voice.approver === approver),
  );

const noticeOf = (
  { kind, number, run, parked, dueAt = 0 }: Notice,
  title: string,
): ApprovalNotice => ({
  kind,
  number,
  run,
  title,
  dueAt,
  approvers: pendingOf(parked).map((approver) => ({
    approver,
    link: approvalLinkReference({
      run,
      parkId: parked.parkId,
      approver,
      nonce: parked.question?.linkNonce ?? '',
    }),
  })),
});

function checkedApprovers(names: readonly string[], option: string): readonly string[] {
  const max = LIMITS.approversMax;
  if (!Array.isArray(names) || names.length > max) {
    throw invalid(`${option} must be a list of at most ${max} names`);
  }
  const wrong = names.find(
    (name) =>
      typeof name !== 'string' || name.length === 0 || name.length > LIMITS.approverCharactersMax,
  );
  if (wrong !== undefined) {
    throw invalid(
      `${option} must have names of 1 to ${LIMITS.approverCharactersMax} characters, got ${JSON.stringify(wrong)}`,
    );
  }
  return [...new Set(names)];
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `approval: ${problem}`);
