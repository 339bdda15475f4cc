import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export type Verification = 'verified' | 'missing' | 'invalid';

/** Whether a delivery is signed with one of the secrets, over exactly the bytes that came. */
export type Verifier = (
  delivery: { readonly headers: IncomingHttpHeaders; readonly body: Uint8Array },
  secrets: readonly string[],
) => Verification;

/**
 * Whether one of the expected signatures is the given one. Every one is compared, in a time that tells
 * nothing about where they differ.
 */
export function matchesAny(given: Uint8Array, expected: readonly Uint8Array[]): boolean {
  let matches = false;
  for (const each of expected) {
    const isEqual = each.length === given.length && timingSafeEqual(each, given);
    matches = matches || isEqual;
  }
  return matches;
}
