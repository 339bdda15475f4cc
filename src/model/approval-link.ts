/**
 * How a flow speaks of an approval link without having one. A link is a credential, so it must not be
 * in a history: flows handle a reference, and the worker puts the signed link in its place when an
 * operation sends it.
 */
import type { RunId } from './run.ts';

/** Whose link it is, to which question. */
export interface ApprovalLink {
  readonly run: RunId;
  readonly parkId: string;
  /** One of the question's approvers. */
  readonly approver: string;
  /**
   * The question's `linkNonce`. Event data is other people's text: a reference that somebody wrote
   * there must not become a link, and this is the part that nobody outside can know.
   */
  readonly nonce: string;
}

const SCHEME = 'tidegate-link:';
/** Every reference in a text. Its parts have no character that ends it, so what follows may be anything. */
export const APPROVAL_LINK_REFERENCE: RegExp =
  /tidegate-link:([\w%-]+)\/([\w%-]+)\/([\w%-]+)\/([\w%-]+);/g;

/**
 * The text that the worker replaces with a signed, expiring link.
 *
 * @example
 * ```ts
 * approvalLinkReference({ run, parkId, approver: 'ana@acme.example', nonce: question.linkNonce });
 * // 'tidegate-link:access%3Adefault%3Au1/1%2Fapproval%231%2F1/ana%40acme%2Eexample/9b1d…;'
 * ```
 */
export const approvalLinkReference = ({ run, parkId, approver, nonce }: ApprovalLink): string =>
  `${SCHEME}${[run, parkId, approver, nonce].map(encode).join('/')};`;

/** What a reference says, or undefined when a text is not one. */
export function parseApprovalLinkReference(reference: string): ApprovalLink | undefined {
  const match = new RegExp(`^(?:${APPROVAL_LINK_REFERENCE.source})$`).exec(reference);
  if (match === null) return undefined;
  const [run, parkId, approver, nonce] = match.slice(1).map(decode);
  if (run === undefined || parkId === undefined) return undefined;
  if (approver === undefined || nonce === undefined) return undefined;
  return { run: run as RunId, parkId, approver, nonce };
}

/** encodeURIComponent lets punctuation through that also ends a sentence, closes a bracket or a quotation. */
const encode = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replace(
    /[^\w%-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
