import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { type Html, html } from './html.ts';

/** Levels that get a list of their own; deeper ones are shown as JSON. */
const LEVELS_MAX = 4;

/**
 * What those who decide need to know, as a list of names and values. Bounded: a page that never ends
 * is read by nobody.
 */
export function contextList(context: Json): Html {
  const budget = { rows: LIMITS.approvalContextRowsMax };
  const list = shownValue(context, 0, budget);
  if (budget.rows >= 0) return list;
  return html`${list}<p class="quiet">There is more than fits this page: look at the run.</p>`;
}

interface Budget {
  rows: number;
}

function shownValue(value: Json, level: number, budget: Budget): Html {
  if (value === null) return html`<span class="quiet">none</span>`;
  if (typeof value === 'string') return textOf(value);
  if (typeof value === 'boolean') return html`${value ? 'yes' : 'no'}`;
  if (typeof value === 'number') return html`${value}`;
  const entries = Object.entries(value);
  if (entries.length === 0) return html`<span class="quiet">empty</span>`;
  if (level >= LEVELS_MAX) return html`<code dir="auto">${cut(JSON.stringify(value))}</code>`;
  const rows = entries.slice(0, Math.max(budget.rows, 0));
  budget.rows -= entries.length;
  return Array.isArray(value)
    ? html`<ul>${rows.map(([, item]) => html`<li>${shownValue(item, level + 1, budget)}</li>`)}</ul>`
    : html`<dl>${rows.map(
        ([name, field]) =>
          html`<div><dt dir="auto">${words(name)}</dt><dd>${shownValue(field, level + 1, budget)}</dd></div>`,
      )}</dl>`;
}

const textOf = (text: string): Html =>
  text.trim() === ''
    ? html`<span class="quiet">empty</span>`
    : html`<span class="text" dir="auto">${cut(text)}</span>`;

const cut = (text: string): string =>
  text.length <= LIMITS.approvalValueCharactersMax
    ? text
    : `${text.slice(0, LIMITS.approvalValueCharactersMax)} …`;

/** `requestedBy` and `requested_by` as people write it: `Requested by`. */
function words(name: string): string {
  const spaced = name
    .slice(0, LIMITS.attributeCharactersMax)
    .replace(/([\p{Ll}\d])(\p{Lu}\p{Ll})/gu, (_, end: string, begin: string) => {
      return `${end} ${begin.toLowerCase()}`;
    })
    .replaceAll('_', ' ')
    .trim();
  return spaced === '' ? name : `${spaced.charAt(0).toUpperCase()}${spaced.slice(1)}`;
}
