/** When people are told of a question: at once, again and again, and somebody else after a time. Pure. */

/** In milliseconds; what is absent does not happen. */
export interface AskingRule {
  readonly withinMs?: number;
  readonly remindEveryMs?: number;
  readonly escalateAfterMs?: number;
}

/** What has been told so far. Plain JSON: it is carried across continue-as-new. */
export interface Asking {
  readonly askedAt: number;
  /** How many notices there have been in all. */
  readonly notices: number;
  readonly remindedAt: number;
  readonly escalated: boolean;
}

export type NoticeKind = 'ask' | 'reminder' | 'escalation';

/** What is due at `now`: a notice, the end, or nothing until `dueAt` (undefined: nothing more by itself). */
export type AskingDue =
  | { readonly due: NoticeKind | 'end'; readonly dueAt?: never }
  | { readonly due?: never; readonly dueAt: number | undefined };

export const startAsking = (now: number): Asking => ({
  askedAt: now,
  notices: 0,
  remindedAt: now,
  escalated: false,
});

/**
 * Invariants, which the property tests drive: the first notice comes at once; reminders are never
 * closer together than `remindEveryMs`, also when time has jumped; one escalation; nothing after the
 * end; what is not due has a time at which it will be.
 */
export function askingDue(rule: AskingRule, asking: Asking, now: number): AskingDue {
  const endsAt = after(asking.askedAt, rule.withinMs);
  const escalatesAt = asking.escalated ? undefined : after(asking.askedAt, rule.escalateAfterMs);
  const remindsAt = after(asking.remindedAt, rule.remindEveryMs);
  if (endsAt !== undefined && now >= endsAt) return { due: 'end' };
  if (asking.notices === 0) return { due: 'ask' };
  if (escalatesAt !== undefined && now >= escalatesAt) return { due: 'escalation' };
  if (remindsAt !== undefined && now >= remindsAt) return { due: 'reminder' };
  const times = [endsAt, escalatesAt, remindsAt].filter((time) => time !== undefined);
  return { dueAt: times.length === 0 ? undefined : Math.min(...times) };
}

/** After a notice at `now`; each of them counts as a reminder. */
export const afterNotice = (asking: Asking, kind: NoticeKind, now: number): Asking => ({
  ...asking,
  notices: asking.notices + 1,
  remindedAt: now,
  escalated: asking.escalated || kind === 'escalation',
});

const after = (from: number, ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : from + ms;
