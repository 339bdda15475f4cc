/** A JSON Schema read as what can be reasoned about: one shape for each kind of document that it takes. */
import type { JsonSchema } from '../model/contract.ts';

/** A part of a schema; `true` takes everything, `false` nothing. */
export type SchemaPart = JsonSchema | boolean;

/** A schema takes a document that one of its shapes takes. */
export type Shape =
  | { readonly kind: 'any' }
  | { readonly kind: 'null'; readonly other: Other }
  | BooleanShape
  | NumberShape
  | StringShape
  | ArrayShape
  | ObjectShape
  /** What no rule here understands: it is like nothing but itself. */
  | { readonly kind: 'opaque'; readonly text: string };

/** Keywords that no rule here understands, beside those that one does. */
type Other = Readonly<Record<string, unknown>>;

interface ScalarShape<Kind extends string, Value> {
  readonly kind: Kind;
  /** The only values that are taken; undefined: any of the kind. */
  readonly values: readonly Value[] | undefined;
  readonly other: Other;
}
export type BooleanShape = ScalarShape<'boolean', boolean>;
export interface NumberShape extends ScalarShape<'number', number> {
  readonly isInteger: boolean;
  readonly minimum: Bound;
  readonly maximum: Bound;
  readonly multipleOf: number | undefined;
}
export interface StringShape extends ScalarShape<'string', string> {
  readonly minLength: number;
  readonly maxLength: number;
  /** All of them must match. */
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}
export interface ArrayShape {
  readonly kind: 'array';
  readonly prefix: readonly SchemaPart[];
  readonly rest: SchemaPart;
  readonly minItems: number;
  readonly maxItems: number;
  readonly isUnique: boolean;
  readonly other: Other;
}
export interface ObjectShape {
  readonly kind: 'object';
  readonly properties: ReadonlyMap<string, SchemaPart>;
  readonly required: ReadonlySet<string>;
  /** What fields that are not named must be. */
  readonly additional: SchemaPart;
  readonly names: SchemaPart | undefined;
  readonly minProperties: number;
  readonly maxProperties: number;
  readonly other: Other;
}

/** A number that is the least or the greatest, or only just not taken. */
export interface Bound {
  readonly at: number;
  readonly isExclusive: boolean;
}

/** They say something to people and nothing about which documents are taken. */
const ANNOTATIONS: ReadonlySet<string> = new Set(
  '$schema $id $comment $defs title description default examples deprecated readOnly writeOnly pii id'.split(
    ' ',
  ),
);
const UNDERSTOOD: ReadonlySet<string> = new Set(
  'type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern patterns format formats prefixItems items minItems maxItems uniqueItems properties required additionalProperties propertyNames minProperties maxProperties'.split(
    ' ',
  ),
);
/** They change what keywords beside them mean. */
const ENTANGLED: readonly string[] = [
  'patternProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  '$dynamicRef',
];
const KINDS = ['null', 'boolean', 'number', 'string', 'array', 'object'] as const;
type Kind = (typeof KINDS)[number];

/** References and alternatives within each other; a schema of more is not looked into. */
const NESTED_MAX = 8;

/** The shapes of a part of `root`, in which its references lead. */
export const shapesOf = (part: SchemaPart, root: SchemaPart): readonly Shape[] =>
  shapesWithin(part, root, 0);

function shapesWithin(part: SchemaPart, root: SchemaPart, depth: number): readonly Shape[] {
  if (part === true) return [{ kind: 'any' }];
  if (part === false) return [];
  const keywords = conjunction(part, root, 0);
  if (keywords === undefined || depth > NESTED_MAX) return [opaque(part, root)];
  const { anyOf, oneOf, ...rest } = keywords;
  const options = (anyOf ?? oneOf) as readonly SchemaPart[] | undefined;
  if (options === undefined) return plainShapes(rest, root);
  // Alternatives beside other keywords are more than the rules here take apart.
  if (Object.keys(rest).length > 0 || (anyOf !== undefined && oneOf !== undefined)) {
    return [opaque(part, root)];
  }
  const alternatives = options.map((option) => shapesWithin(option, root, depth + 1));
  const isExact = oneOf === undefined || areDisjoint(alternatives, root);
  return isExact ? joined(alternatives.flat()) : [opaque(part, root)];
}

/** Its references mean what they do in its root only. */
function opaque(part: SchemaPart, root: SchemaPart): Shape {
  const text = canonicalText(part);
  return { kind: 'opaque', text: text.includes('"$ref"') ? text + canonicalText(root) : text };
}

/** A value as JSON with its keys in order: equal values have equal texts. */
export const canonicalText = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  ) ?? 'undefined';

type Keywords = Readonly<Record<string, unknown>>;

/** A part with its reference followed and its `allOf` drawn together; undefined when that is too hard. */
function conjunction(part: SchemaPart, root: SchemaPart, depth: number): Keywords | undefined {
  if (depth > NESTED_MAX || part === false) return undefined;
  if (part === true) return {};
  const { $ref, allOf = [], ...own } = part;
  const stated = Object.fromEntries(Object.entries(own).filter(([name]) => !ANNOTATIONS.has(name)));
  const members = [...(allOf as readonly SchemaPart[])];
  if ($ref !== undefined) {
    const target = targetOf(String($ref), root);
    if (target === undefined) return undefined;
    members.push(target);
  }
  let drawn: Keywords | undefined = stated;
  for (const member of members) {
    const keywords = conjunction(member, root, depth + 1);
    drawn = drawn && keywords && both(drawn, keywords);
  }
  return drawn;
}

function targetOf(reference: string, root: SchemaPart): SchemaPart | undefined {
  if (!reference.startsWith('#')) return undefined;
  let target: unknown = root;
  for (const step of reference.slice(1).split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof target !== 'object' || target === null || !Object.hasOwn(target, name))
      return undefined;
    target = (target as Record<string, unknown>)[name];
  }
  return target as SchemaPart;
}

const GREATER: ReadonlySet<string> = new Set(
  'minimum exclusiveMinimum minLength minItems minProperties'.split(' '),
);
const LESSER: ReadonlySet<string> = new Set(
  'maximum exclusiveMaximum maxLength maxItems maxProperties'.split(' '),
);
const SEVERAL: Readonly<Record<string, string>> = { pattern: 'patterns', format: 'formats' };
/** They tell of fields or items that others of their kind name: apart they mean something else. */
const BOUND_TOGETHER = ['properties', 'additionalProperties', 'prefixItems', 'items'];

/** What satisfies both sets of keywords, where that can be said as one set. */
function both(one: Keywords, other: Keywords): Keywords | undefined {
  if (Object.keys(one).length === 0) return other;
  const result: Record<string, unknown> = { ...one };
  const isApart = (name: string): boolean => one[name] === undefined || other[name] === undefined;
  const onlyOneSide = BOUND_TOGETHER.every((name) => one[name] === undefined);
  const onlyOtherSide = BOUND_TOGETHER.every((name) => other[name] === undefined);
  if (!onlyOneSide && !onlyOtherSide && canonicalText(one) !== canonicalText(other))
    return undefined;
  for (const [name, value] of Object.entries(other)) {
    const list = SEVERAL[name];
    if (list !== undefined) {
      result[list] = [...((result[list] as unknown[] | undefined) ?? []), value];
    } else if (name === 'patterns' || name === 'formats') {
      result[name] = [...((result[name] as unknown[] | undefined) ?? []), ...(value as unknown[])];
    } else if (isApart(name)) result[name] = value;
    else if (GREATER.has(name)) result[name] = Math.max(one[name] as number, value as number);
    else if (LESSER.has(name)) result[name] = Math.min(one[name] as number, value as number);
    else if (name === 'required') {
      result[name] = [...(one[name] as string[]), ...(value as string[])];
    } else if (canonicalText(one[name]) !== canonicalText(value)) return undefined;
  }
  return result;
}

function plainShapes(keywords: Keywords, root: SchemaPart): readonly Shape[] {
  const names = Object.keys(keywords);
  if (names.length === 0) return [{ kind: 'any' }];
  if (names.length === 1 && canonicalText(keywords.not) === '{}') return [];
  const values = valuesOf(keywords);
  const isBeyondUs =
    values?.some((value) => typeof value === 'object' && value !== null) === true ||
    (Object.hasOwn(keywords, 'const') && Object.hasOwn(keywords, 'enum')) ||
    ENTANGLED.some((name) => Object.hasOwn(keywords, name));
  if (isBeyondUs) return [opaque(keywords, root)];
  const other = Object.fromEntries(
    Object.entries(keywords).filter(([name]) => !UNDERSTOOD.has(name)),
  );
  const types = typesOf(keywords);
  if (types === undefined && names.every((name) => name in other)) return [opaque(keywords, root)];
  const kinds = KINDS.filter(
    (kind) => types === undefined || types.has(kind) || (kind === 'number' && types.has('integer')),
  );
  return kinds.flatMap((kind) => {
    const ofKind = values?.filter((value) => kindOf(value) === kind);
    return ofKind?.length === 0 ? [] : [shapeOf(kind, keywords, types, ofKind, other)];
  });
}

const valuesOf = (keywords: Keywords): readonly unknown[] | undefined => {
  if (Object.hasOwn(keywords, 'const')) return [keywords.const];
  return keywords.enum as readonly unknown[] | undefined;
};

const typesOf = ({ type }: Keywords): ReadonlySet<string> | undefined =>
  type === undefined ? undefined : new Set(Array.isArray(type) ? type : [type as string]);

const kindOf = (value: unknown): Kind => {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : (typeof value as Kind);
};

function shapeOf(
  kind: Kind,
  keywords: Keywords,
  types: ReadonlySet<string> | undefined,
  values: readonly unknown[] | undefined,
  other: Other,
): Shape {
  const read = <Value>(name: string): Value | undefined => keywords[name] as Value | undefined;
  switch (kind) {
    case 'null':
      return { kind, other };
    case 'boolean': {
      // Both values are all there are.
      const only = new Set(values).size === 1 ? (values as readonly boolean[]) : undefined;
      return { kind, values: only, other };
    }
    case 'number':
      return {
        kind,
        values: values as readonly number[] | undefined,
        isInteger: types !== undefined && !types.has('number'),
        minimum: boundOf(read('minimum'), read('exclusiveMinimum'), -Infinity, Math.max),
        maximum: boundOf(read('maximum'), read('exclusiveMaximum'), Infinity, Math.min),
        multipleOf: read('multipleOf'),
        other,
      };
    case 'string':
      return {
        kind,
        values: values as readonly string[] | undefined,
        minLength: read<number>('minLength') ?? 0,
        maxLength: read<number>('maxLength') ?? Infinity,
        patterns: together(read('pattern'), read('patterns')),
        formats: together(read('format'), read('formats')),
        other,
      };
    case 'array': {
      const prefix = read<readonly SchemaPart[]>('prefixItems') ?? [];
      const rest = read<SchemaPart>('items') ?? true;
      const most = read<number>('maxItems') ?? Infinity;
      return {
        kind,
        prefix,
        rest,
        minItems: read<number>('minItems') ?? 0,
        maxItems: rest === false ? Math.min(most, prefix.length) : most,
        isUnique: read('uniqueItems') === true,
        other,
      };
    }
    case 'object':
      return {
        kind,
        properties: new Map(Object.entries(read<Record<string, SchemaPart>>('properties') ?? {})),
        required: new Set(read<readonly string[]>('required')),
        additional: openOr(read<SchemaPart>('additionalProperties')),
        names: read('propertyNames'),
        minProperties: read<number>('minProperties') ?? 0,
        maxProperties: read<number>('maxProperties') ?? Infinity,
        other,
      };
    default:
      return kind satisfies never;
  }
}

const openOr = (part: SchemaPart | undefined): SchemaPart =>
  part === undefined || canonicalText(part) === '{}' ? true : part;

const together = (
  one: string | undefined,
  more: readonly string[] | undefined,
): readonly string[] => [...new Set([...(one === undefined ? [] : [one]), ...(more ?? [])])];

function boundOf(
  inclusive: number | undefined,
  exclusive: number | undefined,
  none: number,
  tighter: (one: number, other: number) => number,
): Bound {
  const at = tighter(inclusive ?? none, exclusive ?? none);
  return { at, isExclusive: exclusive === at };
}

/** The values of one kind as one shape, so that a list of literals is like an enumeration. */
function joined(shapes: readonly Shape[]): readonly Shape[] {
  const result: Shape[] = [];
  for (const shape of shapes) {
    const at = result.findIndex((earlier) => areListsOfOneKind(earlier, shape));
    const earlier = result[at];
    if (earlier === undefined) result.push(shape);
    else result[at] = { ...earlier, values: [...listed(earlier), ...listed(shape)] } as Shape;
  }
  return result;
}

const listed = (shape: Shape): readonly unknown[] =>
  'values' in shape ? (shape.values ?? []) : [];

const areListsOfOneKind = (one: Shape, other: Shape): boolean =>
  one.kind === other.kind &&
  listed(one).length > 0 &&
  listed(other).length > 0 &&
  canonicalText({ ...one, values: [] }) === canonicalText({ ...other, values: [] });

/** Whether no document is taken by two of these alternatives. */
function areDisjoint(alternatives: readonly (readonly Shape[])[], root: SchemaPart): boolean {
  return alternatives.every((one, index) =>
    alternatives
      .slice(index + 1)
      .every((other) => one.every((a) => other.every((b) => excludeEachOther(a, b, root)))),
  );
}

function excludeEachOther(one: Shape, other: Shape, root: SchemaPart): boolean {
  if (one.kind === 'any' || other.kind === 'any') return false;
  if (one.kind === 'opaque' || other.kind === 'opaque') return false;
  if (one.kind !== other.kind) return true;
  if (one.kind === 'object' && other.kind === 'object')
    return haveDiscriminator(one, other, root, root);
  const [left, right] = [listed(one), listed(other)];
  return left.length > 0 && right.length > 0 && !left.some((value) => right.includes(value));
}

/** Whether a field that both require has different values in each. */
export const haveDiscriminator = (
  one: ObjectShape,
  other: ObjectShape,
  oneRoot: SchemaPart,
  otherRoot: SchemaPart,
): boolean =>
  [...one.required].some((name) => {
    const [left, right] = [one.properties.get(name), other.properties.get(name)];
    if (left === undefined || right === undefined || !other.required.has(name)) return false;
    const [a, b] = [literalsOf(left, oneRoot), literalsOf(right, otherRoot)];
    return a.length > 0 && b.length > 0 && !a.some((value) => b.includes(value));
  });

/** The values of a part that takes nothing else; none for one that takes more. */
function literalsOf(part: SchemaPart, root: SchemaPart): readonly unknown[] {
  const keywords = conjunction(part, root, 0);
  return (keywords && valuesOf(keywords)) ?? [];
}
