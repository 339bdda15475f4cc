/**
 * The one core behind every signature scheme that can be said as data: which headers carry signatures in
 * which form, what is signed, how, and how old it may be. Everything that is easy to get wrong is here
 * once: strict shapes, any of several signatures, any of several secrets, both ends of the window.
 */
import { TidegateError } from '../../model/error.ts';
import { LIMITS } from '../../model/limits.ts';
import type { Algorithm } from './algorithms.ts';
import { decodeStrictly, type Encoding, indexOfMatch } from './bytes.ts';
import { parseTime, type TimeUnit, type TimeWindow, timeRefusal } from './time-window.ts';
import {
  isBlank,
  isRefused,
  oneHeader,
  type Refused,
  type RequestHeaders,
  refused,
  type SignedRequest,
  type Verification,
  type VerificationKeys,
  type Verifier,
} from './verifier.ts';

export interface SignatureRecipe {
  readonly scheme: string;
  /** What the signature is over, such as `{timestamp}.{body}`. The parts: id, timestamp, method, url, body. */
  readonly signed: string;
  readonly algorithm: Algorithm;
  readonly signature: SignatureForm;
  readonly timestamp?: TimestampForm;
  /** The header with the id that `{id}` stands for: printable ASCII, at most 256 characters. */
  readonly id?: string;
  /** The forms of the called address that may have been signed. @default the address as it is */
  readonly urls?: (url: string) => readonly string[];
  /** A last look at a body whose signature is right: some schemes keep the time in there. */
  readonly inspect?: (body: Uint8Array, nowMs: number) => Refused | undefined;
}

export interface SignatureForm {
  /** Lower case. A signature of any of them will do; each may come once. */
  readonly headers: readonly string[];
  /** What stands before a signature, such as `sha256=`. @default '' */
  readonly label?: string;
  /** What separates several; items with another label are other schemes and are passed over. @default one only */
  readonly separator?: ',' | ';' | ' ';
  readonly encoding: Encoding;
}

export interface TimestampForm {
  /** A header of its own, or an item of the signature's header with this label. */
  readonly from: { readonly header: string } | { readonly label: string };
  readonly unit: TimeUnit;
  readonly window: TimeWindow;
}

/** @param byOtherNames the same scheme under other headers, for a request without the first's. */
export function recipeVerifier(
  recipe: SignatureRecipe,
  ...byOtherNames: readonly SignatureRecipe[]
): Verifier {
  const template = parseTemplate(recipe);
  return {
    scheme: recipe.scheme,
    protects: template.includes('body') ? 'body' : 'nothing',
    needsUrl: template.includes('url'),
    needsSecret: true,
    secretProblem: recipe.algorithm.secretProblem,
    verify(request, keys) {
      const isNamed = ({ signature }: SignatureRecipe): boolean =>
        signature.headers.some((name) => request.headers[name] !== undefined);
      const named = [recipe, ...byOtherNames].find(isNamed) ?? recipe;
      return verifyRecipe({ recipe: named, template, request, keys });
    },
  };
}

/** What one request says about itself, read but not yet believed. */
interface Claims {
  readonly signatures: readonly Uint8Array[];
  readonly timestamp: string;
  readonly id: string;
}

function verifyRecipe(check: {
  readonly recipe: SignatureRecipe;
  readonly template: Template;
  readonly request: SignedRequest;
  readonly keys: VerificationKeys;
}): Verification {
  const { recipe, template, request, keys } = check;
  refuseBlankSecrets(keys.secrets);
  const claims = readClaims(recipe, request.headers, keys.nowMs);
  if (isRefused(claims)) return claims;
  const contents = signedContents({ recipe, template, request, claims });
  const secretIndex = indexOfMatch(keys.secrets, (secret) =>
    contents.some((signed) => recipe.algorithm.matches(secret, signed, claims.signatures)),
  );
  if (secretIndex === -1) return refused('signature_mismatch');
  const objection = recipe.inspect?.(request.body, keys.nowMs);
  if (objection !== undefined) return objection;
  const signedId = recipe.id === undefined ? {} : { signedId: claims.id };
  return { status: 'verified', secretIndex, ...signedId };
}

/** @throws TidegateError `config_invalid` */
export function refuseBlankSecrets(secrets: readonly string[]): void {
  if (secrets.length > 0 && !secrets.some(isBlank)) return;
  throw new TidegateError('config_invalid', 'A signature cannot be checked without a secret.');
}

function readClaims(
  recipe: SignatureRecipe,
  headers: RequestHeaders,
  nowMs: number,
): Claims | Refused {
  const values = signatureHeaders(recipe.signature, headers);
  if (isRefused(values)) return values;
  const timestamp = readTimestamp(recipe, { headers, values, nowMs });
  if (isRefused(timestamp)) return timestamp;
  const id = recipe.id === undefined ? { value: '' } : oneHeader(headers, recipe.id);
  if (isRefused(id)) return id;
  if (recipe.id !== undefined && !/^[!-~]{1,256}$/.test(id.value)) {
    return refused('header_malformed');
  }
  const signatures = readSignatures(recipe, values);
  if (isRefused(signatures)) return signatures;
  return { signatures, timestamp: timestamp.value, id: id.value };
}

function signatureHeaders(
  form: SignatureForm,
  headers: RequestHeaders,
): readonly string[] | Refused {
  const values: string[] = [];
  for (const name of form.headers) {
    const found = oneHeader(headers, name);
    if (!isRefused(found)) values.push(found.value);
    else if (found.status !== 'missing') return found;
  }
  return values.length > 0 ? values : refused('header_missing');
}

const itemsOf = (value: string, separator: SignatureForm['separator']): readonly string[] =>
  separator === undefined ? [value] : value.split(separator).map((item) => item.trim());

/** The text after a label. Base64 can hold `=`: nothing is split there. */
const labelled = (items: readonly string[], label: string): readonly string[] =>
  items.filter((item) => item.startsWith(label)).map((item) => item.slice(label.length));

function readSignatures(
  { signature, algorithm }: SignatureRecipe,
  values: readonly string[],
): readonly Uint8Array[] | Refused {
  const items = values.map((value) => itemsOf(value, signature.separator));
  if (items.some(({ length }) => length > LIMITS.signaturesMax)) return refused('header_malformed');
  const texts = labelled(items.flat(), signature.label ?? '');
  if (texts.length === 0) return refused('signature_unknown');
  const signatures = texts.flatMap((text) => {
    const bytes = decodeStrictly(text, signature.encoding);
    return bytes !== undefined && algorithm.isSignature(bytes) ? [bytes] : [];
  });
  return signatures.length > 0 ? signatures : refused('header_malformed');
}

function readTimestamp(
  { timestamp, signature }: SignatureRecipe,
  request: {
    readonly headers: RequestHeaders;
    readonly values: readonly string[];
    readonly nowMs: number;
  },
): { readonly value: string } | Refused {
  if (timestamp === undefined) return { value: '' };
  const { from, unit, window } = timestamp;
  const found =
    'header' in from
      ? oneHeader(request.headers, from.header)
      : oneLabelled(request.values, signature, from.label);
  if (isRefused(found)) return found;
  const atMs = parseTime(found.value, unit);
  if (atMs === undefined) return refused('timestamp_malformed');
  return timeRefusal(atMs, window, request.nowMs) ?? found;
}

function oneLabelled(
  values: readonly string[],
  { separator }: SignatureForm,
  label: string,
): { readonly value: string } | Refused {
  const [value, ...others] = values.flatMap((each) => labelled(itemsOf(each, separator), label));
  // With two times, one could be judged and the other signed.
  return value === undefined || others.length > 0 ? refused('timestamp_malformed') : { value };
}

const PARTS = ['id', 'timestamp', 'method', 'url', 'body'] as const;
type Part = (typeof PARTS)[number];
type Template = readonly (Part | { readonly text: string })[];

/** @throws TidegateError `source_invalid` for a part that there is not, or one without its recipe. */
function parseTemplate({ signed, id, timestamp, scheme }: SignatureRecipe): Template {
  const invalid = (problem: string): TidegateError =>
    new TidegateError('source_invalid', `${scheme}: ${JSON.stringify(signed)} ${problem}.`);
  const template = signed
    .split(/(\{[^}]*\})/)
    .filter((piece) => piece !== '')
    .map((piece) => {
      const part = PARTS.find((each) => piece === `{${each}}`);
      if (part !== undefined) return part;
      if (/[{}]/.test(piece)) throw invalid(`can only name ${PARTS.join(', ')}`);
      return { text: piece };
    });
  for (const part of PARTS) {
    if (template.filter((each) => each === part).length > 1) throw invalid(`names ${part} twice`);
  }
  // A time or an id beside the signed content could be changed by who repeats the request.
  if (template.includes('timestamp') !== (timestamp !== undefined)) {
    throw invalid('must name {timestamp} exactly when a timestamp is read');
  }
  if (template.includes('id') !== (id !== undefined)) {
    throw invalid('must name {id} exactly when an id is read');
  }
  return template;
}

/** The bytes that may have been signed: several only where an address has several forms. */
function signedContents(content: {
  readonly recipe: SignatureRecipe;
  readonly template: Template;
  readonly request: SignedRequest;
  readonly claims: Claims;
}): readonly (readonly Uint8Array[])[] {
  const { recipe, template, request, claims } = content;
  const bytesOf = (part: Template[number], url: string): Uint8Array => {
    if (typeof part === 'object') return Buffer.from(part.text);
    switch (part) {
      case 'id':
        return Buffer.from(claims.id);
      case 'timestamp':
        return Buffer.from(claims.timestamp);
      case 'method':
        return Buffer.from(request.method);
      case 'url':
        return Buffer.from(url);
      case 'body':
        return request.body;
      default:
        return part satisfies never;
    }
  };
  return addressForms(recipe, template, request).map((url) =>
    template.map((part) => bytesOf(part, url)),
  );
}

function addressForms(
  { urls, scheme }: SignatureRecipe,
  template: Template,
  { url }: SignedRequest,
): readonly string[] {
  if (!template.includes('url')) return [''];
  return urls === undefined ? [calledUrl(url, scheme)] : urls(calledUrl(url, scheme));
}

/** @throws TidegateError `config_invalid`: the address is ours to know. */
export function calledUrl(url: string | undefined, scheme: string): string {
  if (url !== undefined) return url;
  throw new TidegateError(
    'config_invalid',
    `${scheme} signs the address that it calls: set TIDEGATE_PUBLIC_URL.`,
  );
}
