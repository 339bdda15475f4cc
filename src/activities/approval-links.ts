/** Puts signed links where a flow wrote references, just before an operation sends them. */
import { signLink, withoutTokens } from '../approvals/token.ts';
import { operationError } from '../connectors/operation-error.ts';
import type { Journal } from '../journal/journal.ts';
import {
  APPROVAL_LINK_REFERENCE,
  type ApprovalLink,
  parseApprovalLinkReference,
} from '../model/approval-link.ts';
import { messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import type { Question } from '../model/protocol.ts';

export interface LinkOptions {
  /** Where people reach the ingress, without a slash at its end; awaited where it is not known yet. */
  readonly publicUrl?: string | Promise<string>;
  /** The first one signs. */
  readonly secrets: readonly string[];
}

/** The input of an operation with links in place of references. */
export type WriteLinks = (input: Json) => Promise<Json>;

/**
 * What writes links.
 *
 * A reference becomes a link only when its question, its nonce and its approver are in the journal.
 * Every other text that looks like one stays what it is: event data can hold anything.
 *
 * @throws TidegateError `operation_failed`: `persistent` when this worker is not configured for
 * links, `transient` while the journal is away.
 */
export function linkWriter(
  journal: Pick<Journal, 'findQuestion'>,
  options: LinkOptions,
): WriteLinks {
  return async (input) => {
    const references = [...new Set(stringsOf(input).flatMap(referencesIn))];
    const links = new Map<string, string>();
    for (const reference of references) {
      const link = await linkFor(reference, journal, options);
      if (link !== undefined) links.set(reference, link);
    }
    return links.size === 0 ? input : inStrings(input, (text) => replaced(text, links));
  };
}

/** JSON without the signed part of links, which would else be in a history: outside systems repeat what they are sent. */
export const withoutLinks = (value: Json): Json => inStrings(value, withoutTokens);

async function linkFor(
  reference: string,
  journal: Pick<Journal, 'findQuestion'>,
  { publicUrl, secrets: [first, ...rest] }: LinkOptions,
): Promise<string | undefined> {
  const link = parseApprovalLinkReference(reference);
  if (link === undefined) return undefined;
  const question = await questionOf(link, journal);
  if (question?.linkNonce !== link.nonce || question.dueAt === undefined) return undefined;
  if (!question.approvers.includes(link.approver)) return undefined;
  if (first === undefined) throw notConfigured('TIDEGATE_LINK_SECRET', 'sign');
  if (publicUrl === undefined) throw notConfigured('TIDEGATE_PUBLIC_URL', 'address');
  return `${await publicUrl}/approvals/${await signLink(link, question.dueAt, [first, ...rest])}`;
}

async function questionOf(
  { run, parkId }: ApprovalLink,
  journal: Pick<Journal, 'findQuestion'>,
): Promise<Question | undefined> {
  try {
    return await journal.findQuestion(run, parkId);
  } catch (error) {
    throw operationError('transient', `cannot make an approval link: ${messageOf(error)}`);
  }
}

const notConfigured = (variable: string, what: string): Error =>
  operationError(
    'persistent',
    `cannot ${what} an approval link: set ${variable} for the workers, restart them, then retry`,
  );

const referencesIn = (text: string): readonly string[] => text.match(APPROVAL_LINK_REFERENCE) ?? [];

const replaced = (text: string, links: ReadonlyMap<string, string>): string =>
  text.replace(APPROVAL_LINK_REFERENCE, (reference) => links.get(reference) ?? reference);

function stringsOf(value: Json): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(stringsOf);
}

function inStrings(value: Json, change: (text: string) => string): Json {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => inStrings(item, change));
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, inStrings(field, change)]),
  );
}
