/**
 * Fields that contracts mark `pii` are for flows only: whoever else reads is shown a mask. In an event
 * they are found by their paths; in text and JSON that somebody made of events, by their values.
 */
import type { Json } from './event.ts';

/** What stands for a value that is not shown; it tells neither its length nor its type. */
export const MASK = '***';

/** A shorter value is only recognised as a word of its own, else it would hide parts of other words. */
const WITHIN_WORDS_CHARACTERS_MIN = 4;
/** A single character is found everywhere, and tells nobody anything. */
const CHARACTERS_MIN = 2;
/** A longer value is looked for in pieces: a regular expression of 16,000 characters overflows V8's stack. */
const PIECE_CHARACTERS_MAX = 2_000;

/** Data with a mask at each of these paths, such as `lines[].email`. What has another shape is masked sooner. */
export const maskAt = (data: Json, paths: readonly string[]): Json =>
  paths.reduce((masked, path) => replaceAt(masked, path, hide), data);

const hide = (value: Json): Json => (value === null ? null : MASK);

/** Data with a mask in place of every field of these names, at any depth. */
export function maskNamed(data: Json, names: ReadonlySet<string>): Json {
  if (!isParent(data)) return data;
  if (Array.isArray(data)) return data.map((item) => maskNamed(item, names));
  return fromEntries(
    Object.entries(data).map(([name, field]) => [
      name,
      names.has(name) ? hide(field) : maskNamed(field, names),
    ]),
  );
}

/** Data of which nothing is known: only the names of its fields are shown. */
export function maskAll(data: Json): Json {
  if (!isParent(data)) return hide(data);
  if (Array.isArray(data)) return data.map(maskAll);
  return fromEntries(Object.entries(data).map(([name, field]) => [name, maskAll(field)]));
}

/** The texts and numbers at these paths, as texts: what is to be masked where somebody repeats it. */
export function valuesAt(data: Json, paths: readonly string[]): readonly string[] {
  const found: string[] = [];
  const collect = (value: Json): Json => {
    found.push(...scalarsIn(value));
    return value;
  };
  for (const path of paths) replaceAt(data, path, collect);
  return found;
}

/** The same for the fields of these names, at any depth. */
export function valuesNamed(data: Json, names: ReadonlySet<string>): readonly string[] {
  if (!isParent(data)) return [];
  return Object.entries(data).flatMap(([name, field]: [string, Json]) =>
    names.has(name) ? scalarsIn(field) : valuesNamed(field, names),
  );
}

function scalarsIn(value: Json): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'number') return [String(value)];
  if (!isParent(value)) return [];
  const inside = Object.values(value).flatMap((field: Json) => scalarsIn(field));
  // What a record is keyed by is as much of it as what it holds.
  return Array.isArray(value) ? inside : [...Object.keys(value), ...inside];
}

/** Masks what text and JSON repeat of some values. */
export interface Masker {
  readonly text: (text: string) => string;
  /** JSON with every text in it masked, its names included. */
  readonly json: <Shape>(value: Shape) => Shape;
}

/**
 * A masker of these values in any case, as they are and as a URL or JSON repeats them. A text that ends
 * in the middle of one, because it was cut, ends with the mask.
 */
export function maskerOf(values: Iterable<string>): Masker {
  const known = [...new Set([...values].flatMap((value) => casesOf(value.trim())))]
    .filter(({ length }) => length >= CHARACTERS_MIN)
    // The longest first: one value may be the beginning of another.
    .sort((one, other) => other.length - one.length)
    .flatMap(piecesOf);
  if (known.length === 0) return { text: (text) => text, json: (value) => value };
  const pattern = new RegExp(known.flatMap(formsOf).join('|'), 'giu');
  const folded = known.map(fold);
  const text = (of: string): string =>
    maskEnd(of.replace(pattern, MASK), folded).replace(SEVERAL_MASKS, MASK);
  return { text, json: (value) => maskTexts(value as Json, { text, known }) as typeof value };
}

const SEVERAL_MASKS = /(?:\*{3}){2,}/g;

/** The value, and what it is in another case where a regular expression does not know it: ß as SS, İ as i and a dot. */
const casesOf = (value: string): readonly string[] => [
  value,
  ...[value.toLowerCase(), value.toUpperCase()].filter(({ length }) => length !== value.length),
];

/** All of about one length: the last one, too, is long enough to be found within words. */
function piecesOf(value: string): readonly string[] {
  if (value.length <= PIECE_CHARACTERS_MAX) return [value];
  const characters = [...value];
  const pieces = Math.ceil(characters.length / PIECE_CHARACTERS_MAX);
  const size = Math.ceil(characters.length / pieces);
  return Array.from({ length: pieces }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join(''),
  );
}

function formsOf(value: string): readonly string[] {
  const forms = [
    value,
    encodeURIComponent(value.toWellFormed()),
    JSON.stringify(value).slice(1, -1),
  ];
  return [...new Set(forms)].map((form) => {
    const exactly = form.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    return value.length >= WITHIN_WORDS_CHARACTERS_MIN
      ? exactly
      : `(?<![\\p{L}\\p{N}])${exactly}(?![\\p{L}\\p{N}])`;
  });
}

/** A text that was cut may end with the beginning of a value, each folded; of several, that which begins first. */
function maskEnd(text: string, values: readonly string[]): string {
  const folded = fold(text.endsWith('…') ? text.slice(0, -1) : text);
  const begins = values.map((value) => beginOf(value, folded));
  const at = Math.min(...begins.filter((begin) => begin !== -1));
  return Number.isFinite(at) ? `${text.slice(0, at)}${MASK}` : text;
}

/** Text in one case, each character at its place: the small letter of İ alone would move all that follow. */
const fold = (text: string): string =>
  text.replace(/\p{Changes_When_Casefolded}/gu, (character) => {
    // By way of the capital, since σ and ς have the same.
    const forms = [character.toUpperCase().toLowerCase(), character.toLowerCase()];
    return forms.find(({ length }) => length === character.length) ?? character;
  });

/** Where a text's end begins that is the beginning of a value; -1 when there is none. */
function beginOf(value: string, text: string): number {
  if (value.length <= WITHIN_WORDS_CHARACTERS_MIN) return -1;
  const begin = value.slice(0, WITHIN_WORDS_CHARACTERS_MIN);
  const from = Math.max(0, text.length - value.length);
  for (let at = text.indexOf(begin, from); at !== -1; at = text.indexOf(begin, at + 1)) {
    if (value.startsWith(text.slice(at))) return at;
  }
  return -1;
}

function maskTexts(
  value: Json,
  mask: { readonly text: Masker['text']; readonly known: readonly string[] },
): Json {
  if (typeof value === 'string') return mask.text(value);
  if (typeof value === 'number') return mask.known.includes(String(value)) ? MASK : value;
  if (!isParent(value)) return value;
  if (Array.isArray(value)) return value.map((item) => maskTexts(item, mask));
  return fromEntries(
    Object.entries(value).map(([name, field]) => [mask.text(name), maskTexts(field, mask)]),
  );
}

/**
 * Replaces what is at a path. Names are matched as they are in the data, so a dot in one needs no
 * quotes; where the data is not of the path's shape, what stands in its way is replaced.
 */
function replaceAt(data: Json, path: string, replace: (value: Json) => Json): Json {
  if (path === '') return replace(data);
  if (!isParent(data)) return replace(data);
  const item = /^\[(\d*)\]\.?(.*)$/s.exec(path);
  const [, index = '', rest = ''] = item ?? [];
  if (Array.isArray(data)) {
    return data.map((each: Json, at) =>
      index !== '' && Number(index) !== at
        ? each
        : replaceAt(each, item === null ? path : rest, replace),
    );
  }
  return fromEntries(
    Object.entries(data).map(([name, field]) => {
      if (item !== null) return [name, replaceAt(field, rest, replace)];
      if (!path.startsWith(name)) return [name, field];
      const after = path.slice(name.length);
      return /^(?:$|\.|\[)/.test(after)
        ? [name, replaceAt(field, after.replace(/^\./, ''), replace)]
        : [name, field];
    }),
  );
}

const isParent = (value: Json): value is readonly Json[] | { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null;

/** Names come from events: `__proto__` is a name like any other, which Object.fromEntries keeps. */
const fromEntries = (entries: readonly (readonly [string, Json])[]): Json =>
  Object.fromEntries(entries);
