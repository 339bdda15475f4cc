import type { ContractProblem } from '../model/contract.ts';
import { TidegateError } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * JSON from the bytes of a request. An integer beyond 2^53 becomes a string of its digits, and so does
 * a number beyond the largest double: as numbers they would be rounded, and two of a vendor's 18-digit
 * ids would be one.
 *
 * @throws TidegateError `malformed_json`. It does not repeat the input.
 */
export function parseJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new TidegateError('malformed_json', 'The body is not UTF-8.');
  }
  return parseJsonText(text);
}

/** As {@link parseJson}, from text. */
export function parseJsonText(text: string): Json {
  try {
    const value = JSON.parse(text) as Json;
    return MAY_HAVE_INEXACT_NUMBER.test(text) ? (JSON.parse(quoteInexact(text)) as Json) : value;
  } catch {
    // The engine's own message quotes the input.
    throw new TidegateError('malformed_json', 'The body is not JSON: check its commas and quotes.');
  }
}

const MAY_HAVE_INEXACT_NUMBER = /\d{16}|\d[eE]\+?\d{3}/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

const quoteInexact = (validJson: string): string =>
  validJson.replace(STRING_OR_NUMBER, (token) =>
    token.startsWith('"') || isExact(token) ? token : `"${token}"`,
  );

function isExact(token: string): boolean {
  const value = Number(token);
  return /^-?\d+$/.test(token) ? Number.isSafeInteger(value) : Number.isFinite(value);
}

/**
 * What makes JSON dangerous to work with: more levels than the stack has room for, or a key by which
 * careless code would change an object's prototype. Other keys, such as `constructor` and `toString`,
 * are data like any.
 */
export function structureProblem(root: Json): ContractProblem | undefined {
  let level: readonly { readonly value: Json; readonly path: string }[] = [
    { value: root, path: 'data' },
  ];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > LIMITS.jsonDepthMax) {
      return { path: 'data', message: `has more than ${LIMITS.jsonDepthMax} levels` };
    }
    const next: { value: Json; path: string }[] = [];
    for (const { value, path } of level) {
      if (typeof value !== 'object' || value === null) continue;
      if (Object.hasOwn(value, '__proto__')) {
        return { path: `${path}.__proto__`, message: 'is a key that is not taken' };
      }
      for (const child of Object.values(value) as Json[]) {
        if (typeof child === 'object' && child !== null) next.push({ value: child, path });
      }
    }
    level = next;
  }
  return undefined;
}

/** Whether a value is a JSON object, not an array or null. */
export const isRecord = (value: unknown): value is Readonly<Record<string, Json>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
