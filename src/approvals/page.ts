/** What people see behind an approval link. Pure: a question and a moment in, HTML out. */
import { LIMITS } from '../model/limits.ts';
import type { Voice } from '../model/protocol.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import { contextList } from './context.ts';
import { type Html, html } from './html.ts';
import type { Asked, Standing } from './standing.ts';
import { STYLE } from './style.ts';

export interface QuestionView {
  readonly run: RunId;
  readonly asked: Asked;
  readonly approver: string;
  readonly standing: Standing;
  readonly now: Date;
  /** What came of the form that was sent, where one was. */
  readonly outcome?: Outcome;
  /** What was written in it: nobody writes a reason twice. */
  readonly reason?: string;
}

export type Outcome =
  | { readonly kind: 'taken'; readonly action: Voice['action'] }
  /** The opposite had been said before. */
  | { readonly kind: 'stands'; readonly said: Voice['action'] }
  /** It was decided without this answer. */
  | { readonly kind: 'tooLate' }
  | { readonly kind: 'unclear'; readonly problem: string }
  | { readonly kind: 'notReached' };

/** The question with what has been said, and the two buttons while there is something to say. */
export function questionPage(view: QuestionView): string {
  const { asked, standing, outcome } = view;
  const { question } = asked;
  return page(
    question.title,
    html`<main>
<header>${badge(view)}<h1 dir="auto">${question.title}</h1>${facts(view)}</header>
${outcome === undefined ? standingNotice(view) : outcomeNotice(view, outcome)}
${
  question.context === undefined
    ? undefined
    : html`<section class="context"><h2>Details</h2>${contextList(question.context)}</section>`
}
${people(view)}
${standing.kind === 'open' ? form(view) : undefined}
</main>
<footer><p>This link is yours alone: whoever has it can answer as you. Opening it changes nothing.</p></footer>`,
  );
}

/** A page that only says something. */
export const messagePage = (heading: string, ...paragraphs: readonly string[]): string =>
  page(
    heading,
    html`<main><header><h1>${heading}</h1>${paragraphs.map((text) => html`<p>${text}</p>`)}</header></main>`,
  );

const page = (title: string, body: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title}</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
${body}
</body>
</html>
`.html;

function badge({ asked, standing }: QuestionView): Html {
  switch (standing.kind) {
    case 'open':
    case 'notAsked':
      return html`<span class="badge">Approval needed</span>`;
    case 'answered':
      return html`<span class="badge">Waiting for others</span>`;
    case 'decided':
      return asked.decision?.action === 'approve'
        ? html`<span class="badge yes">Approved</span>`
        : html`<span class="badge no">Rejected</span>`;
    case 'expired':
      return html`<span class="badge no">Expired</span>`;
    case 'withdrawn':
      return html`<span class="badge no">Withdrawn</span>`;
    default:
      return standing satisfies never;
  }
}

function facts({ run, asked, approver, standing, now }: QuestionView): Html {
  const { flow, tenant, key } = parseRunId(run) ?? { flow: run, tenant: 'default', key: '' };
  const { dueAt } = asked.question;
  const left =
    dueAt !== undefined && isUndecided(standing)
      ? html` <span class="quiet">(${timeLeft(dueAt, now)})</span>`
      : undefined;
  const of =
    tenant === 'default' ? undefined : html` <span class="quiet">of <bdi>${tenant}</bdi></span>`;
  return html`<dl class="facts">
<div><dt>Asked by</dt><dd><bdi>${flow}</bdi>${of}</dd></div>
<div><dt>For</dt><dd><bdi>${key}</bdi></dd></div>
<div><dt>You are</dt><dd><bdi>${approver}</bdi></dd></div>
${dueAt === undefined ? undefined : html`<div><dt>Until</dt><dd>${moment(dueAt)}${left}</dd></div>`}
</dl>`;
}

/** Who is asked, how many of them it takes, and what they have said. */
function people({ asked, approver, standing }: QuestionView): Html {
  const { question, voices } = asked;
  const names = [...new Set([...question.approvers, ...voices.map((voice) => voice.approver)])];
  const items = names.map((name) => {
    const voice = voices.find((said) => said.approver === name);
    return html`<li><span><bdi>${name}</bdi>${
      name === approver ? html` <span class="you">(you)</span>` : undefined
    }</span>${voiceBadge(voice, standing)}${voice === undefined ? undefined : said(voice)}</li>`;
  });
  return html`<section><h2>${takes(question.need, question.approvers.length)}</h2><ul class="people">${items}</ul></section>`;
}

function takes(need: number, of: number): string {
  if (of === 1) return 'One person is asked';
  const who = need < of ? `${need} of ${of}` : of === 2 ? 'Both' : `All ${of}`;
  return `${who} must approve; one rejection ends it`;
}

function voiceBadge(voice: Voice | undefined, standing: Standing): Html {
  if (voice === undefined) {
    return html`<span class="quiet">${isUndecided(standing) ? 'no answer yet' : 'no answer'}</span>`;
  }
  return voice.action === 'approve'
    ? html`<span class="badge yes">Approved</span>`
    : html`<span class="badge no">Rejected</span>`;
}

const isUndecided = ({ kind }: Standing): boolean => kind === 'open' || kind === 'answered';

const said = ({ at, reason }: Voice): Html =>
  html`<span class="said">${moment(at)}${
    reason === '' ? undefined : html`<br><q dir="auto">${reason}</q>`
  }</span>`;

function standingNotice({ asked, standing }: QuestionView): Html | undefined {
  switch (standing.kind) {
    case 'open':
      return undefined;
    case 'answered':
      return standing.voice.action === 'approve'
        ? notice('yes', 'You have approved this.', 'It is not decided yet: others are asked too.')
        : notice('no', 'You have rejected this.');
    case 'decided': {
      const { decision, decidedAt } = asked;
      const isApproved = decision?.action === 'approve';
      return html`<section class="notice ${isApproved ? 'yes' : 'no'}"><p>${
        isApproved ? 'Approved' : 'Rejected'
      }: <bdi>${decision?.actor ?? ''}</bdi> decided it${
        decidedAt === undefined ? undefined : html` on ${moment(Date.parse(decidedAt))}`
      }.</p></section>`;
    }
    case 'expired':
      return notice('no', 'The time to decide is over. Nothing can be changed here any more.');
    case 'withdrawn':
      return notice('no', 'This is not asked any more. Nothing can be changed here.');
    case 'notAsked':
      return notice('no', 'You are not asked any more.');
    default:
      return standing satisfies never;
  }
}

function outcomeNotice(view: QuestionView, outcome: Outcome): Html {
  switch (outcome.kind) {
    case 'taken':
      return notice(
        outcome.action === 'approve' ? 'yes' : 'no',
        `Thank you. You have ${past(outcome.action)} this.`,
        next(view),
      );
    case 'stands':
      return notice('no', `You have ${past(outcome.said)} this before, and that stands.`);
    case 'tooLate':
      return notice(
        'no',
        'This was decided before your answer came, so your answer does not count.',
      );
    case 'unclear':
      return notice('no', outcome.problem);
    case 'notReached':
      return notice(
        'no',
        'Nothing was lost, but we cannot tell whether your answer was taken.',
        'Please press the button again in a moment: the same answer twice counts once.',
      );
    default:
      return outcome satisfies never;
  }
}

function next({ asked }: QuestionView): string {
  if (asked.decision !== undefined) return 'It is decided. You can close this page.';
  const approvals = asked.voices.filter(({ action }) => action === 'approve');
  return `That makes ${approvals.length} of ${asked.question.need}. You can close this page.`;
}

const past = (action: Voice['action']): string => (action === 'approve' ? 'approved' : 'rejected');

const notice = (tone: 'yes' | 'no', ...paragraphs: readonly string[]): Html =>
  html`<section class="notice ${tone}">${paragraphs.map((text) => html`<p>${text}</p>`)}</section>`;

// Only one of the two buttons asks for a reason: `formnovalidate` lets the other go without.
const form = ({ reason = '' }: QuestionView): Html =>
  html`<form method="post" autocomplete="off">
<label for="reason">Reason <span>(needed to reject)</span></label>
<textarea id="reason" name="reason" rows="3" dir="auto" required maxlength="${LIMITS.reasonCharactersMax}">
${reason}</textarea>
<div class="buttons"><button class="approve" name="action" value="approve" formnovalidate>Approve</button>
<button name="action" value="reject">Reject</button></div>
</form>`;

const moments = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'UTC',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});

const moment = (ms: number): Html => {
  const date = new Date(ms);
  return html`<time datetime="${date.toISOString()}">${moments.format(date)} UTC</time>`;
};

function timeLeft(dueAt: number, now: Date): string {
  const minutes = Math.max(1, Math.round((dueAt - now.getTime()) / 60_000));
  const [count, unit] =
    minutes >= 48 * 60
      ? ([Math.floor(minutes / (24 * 60)), 'day'] as const)
      : minutes >= 120
        ? ([Math.floor(minutes / 60), 'hour'] as const)
        : ([minutes, 'minute'] as const);
  return `${count} ${unit}${count === 1 ? '' : 's'} left`;
}
