import { createHash, timingSafeEqual } from 'node:crypto';

export type Encoding = 'hex' | 'base64';

/**
 * Bytes from their text. The shape is checked first, because Buffer.from drops what does not belong in
 * silence: upper-case hex, spaces, missing padding and the URL alphabet of base64 are other texts.
 */
export function decodeStrictly(text: string, encoding: Encoding): Buffer | undefined {
  const shape = encoding === 'hex' ? /^(?:[\da-f]{2})+$/ : BASE64;
  if (!shape.test(text)) return undefined;
  const bytes = Buffer.from(text, encoding);
  // The last letter of base64 may hold bits that belong to no byte: two texts for one signature.
  return bytes.toString(encoding) === text ? bytes : undefined;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;

/** In a time that tells nothing about where two values of one length differ. */
export const isEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);

/** Texts of any length: their digests have one, so that the time tells nothing about it either. */
export const isSameText = (a: string, b: string): boolean => isEqual(sha256(a), sha256(b));

export const sha256 = (content: string | Uint8Array): Buffer =>
  createHash('sha256').update(content).digest();

/**
 * The place of the first that matches, or -1. All are looked at, so that the time does not tell which
 * one it was.
 */
export function indexOfMatch<Item>(
  items: readonly Item[],
  matches: (item: Item) => boolean,
): number {
  let found = -1;
  items.forEach((item, index) => {
    const isMatch = matches(item);
    if (isMatch && found === -1) found = index;
  });
  return found;
}
