/**
 * What CloudEvents says of attributes: their names, the types of their values, and what each core
 * attribute may hold. Sections are those of
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
 */
import { textProblem } from '../../model/run.ts';

/**
 * Why a name cannot be an attribute's, or undefined. "Attribute Naming Convention"; a name over 20
 * characters is against a SHOULD only, and is taken.
 */
export function nameProblem(name: string): string | undefined {
  if (name === 'data') return 'is not a name for an attribute';
  return /^[a-z\d]+$/.test(name)
    ? undefined
    : 'is not a name for an attribute: it must have lower-case letters and digits only';
}

/** C1 controls and Unicode's noncharacters; `textProblem` knows the rest. "Type System", `String`. */
const NOT_IN_STRINGS = /[\u0080-\u009f\p{Noncharacter_Code_Point}]/u;

/** Why a text cannot be a `String`, or undefined. */
export const stringProblem = (text: string): string | undefined =>
  textProblem(text) ??
  (NOT_IN_STRINGS.test(text) ? 'has a control character or a noncharacter' : undefined);

/** Whether a number is an `Integer`: whole, in 32 bits. */
export const isInteger = (value: number): boolean =>
  Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;

// One run of characters each, never one inside another: a pattern that may part a text in many ways
// takes for ever to refuse it.
const characters = (more: string): string =>
  String.raw`(?:[\w.~!$&'()*+,;=:@${more}-]|%[\da-fA-F]{2})*`;
const AUTHORITY = `(?://${characters(String.raw`\[\]`)}(?=[/?#]|$))?`;
const REST = String.raw`${characters('/')}(?:\?${characters('/?')})?(?:#${characters('/?')})?`;
const URI = new RegExp(String.raw`^[A-Za-z][A-Za-z\d+.-]*:${AUTHORITY}${REST}$`);
const RELATIVE = new RegExp(`^(?![^/?#]*:)${AUTHORITY}${REST}$`);

/** RFC 3986. A fragment is allowed, as the JSON Schema of CloudEvents allows it. */
export const isUri = (text: string): boolean => URI.test(text);

/** RFC 3986: a URI, or a reference such as `crm` or `/deals/7`. */
export const isUriReference = (text: string): boolean => isUri(text) || RELATIVE.test(text);

const TOKEN = String.raw`[\w.!#$&^+-]+`;
const MEDIA_TYPE = new RegExp(String.raw`^${TOKEN}/${TOKEN}\s*(?:;|$)`);

/** RFC 2046, without a look at parameters. */
export const isMediaType = (text: string): boolean => MEDIA_TYPE.test(text);

/** `Application/JSON; charset=utf-8` is `application/json`. */
export const essenceOf = (mediaType: string): string =>
  (mediaType.split(';')[0] ?? '').trim().toLowerCase();
