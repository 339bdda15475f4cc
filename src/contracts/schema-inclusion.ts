/** Whether everything that one JSON Schema takes is taken by another, and if not, where it ends. */
import {
  type ArrayShape,
  type Bound,
  canonicalText,
  haveDiscriminator,
  type NumberShape,
  type ObjectShape,
  type SchemaPart,
  type Shape,
  type StringShape,
  shapesOf,
} from './schema-shapes.ts';

/** Something that `sub` takes and `sup` does not, or may not. */
export interface Difference {
  /** Where in the data, such as `lines[].sku`; empty for the data itself. */
  readonly path: string;
  /** The keyword or the words for what differs. */
  readonly aspect: string;
  readonly sub: unknown;
  readonly sup: unknown;
  /**
   * `narrower`: sup refuses what sub takes. `unclear`: it cannot be told. `named`: sup names an optional
   * field that is any unknown field to sub, which is no reason to refuse a document without it.
   */
  readonly weight: 'narrower' | 'unclear' | 'named';
}

export interface InclusionOptions {
  /**
   * `documents`: every keyword counts. `types`: only what a reader's types say of a field: its kinds,
   * values and whether it is there, not bounds, patterns, formats or unknown fields.
   */
  readonly compare: 'documents' | 'types';
}

interface Context extends InclusionOptions {
  readonly subRoot: SchemaPart;
  readonly supRoot: SchemaPart;
  /** Parts that are being compared further up: what holds a part of itself holds if its other parts do. */
  readonly open: readonly string[];
}

/** Every difference that keeps what `sub` takes from being taken by `sup`; both are whole schemas. */
export const differences = (
  sub: SchemaPart,
  sup: SchemaPart,
  options: InclusionOptions,
): readonly Difference[] =>
  compareParts(sub, sup, '', { ...options, subRoot: sub, supRoot: sup, open: [] });

function compareParts(
  sub: SchemaPart,
  sup: SchemaPart,
  path: string,
  context: Context,
): readonly Difference[] {
  const pair = `${canonicalText(sub)} ${canonicalText(sup)}`;
  if (context.open.includes(pair) || areTheSame(sub, sup, context)) return [];
  const within = { ...context, open: [...context.open, pair] };
  const [subShapes, supShapes] = [shapes(sub, context.subRoot), shapes(sup, context.supRoot)];
  if (supShapes.some(({ kind }) => kind === 'any')) return [];
  return subShapes.flatMap((shape) => taken(shape, supShapes, { sub, sup, path }, within));

  function shapes(part: SchemaPart, root: SchemaPart): readonly Shape[] {
    const found = shapesOf(part, root);
    return context.compare === 'types' ? found.map(typeOnly) : found;
  }
}

/** Equal texts mean the same where their references do. */
function areTheSame(sub: SchemaPart, sup: SchemaPart, { subRoot, supRoot }: Context): boolean {
  const text = canonicalText(sub);
  if (text !== canonicalText(sup)) return false;
  return !text.includes('"$ref"') || canonicalText(subRoot) === canonicalText(supRoot);
}

interface Place {
  readonly sub: SchemaPart;
  readonly sup: SchemaPart;
  readonly path: string;
}

function taken(
  shape: Shape,
  supShapes: readonly Shape[],
  { sub, sup, path }: Place,
  context: Context,
): readonly Difference[] {
  const unclear: Difference = { path, aspect: 'schema', sub, sup, weight: 'unclear' };
  if (shape.kind === 'opaque') {
    const isSame = supShapes.some((each) => each.kind === 'opaque' && each.text === shape.text);
    return isSame ? [] : [unclear];
  }
  const found = takenByOneOf(shape, supShapes, { sub, sup, path }, context);
  const mayBeTaken = supShapes.some(({ kind }) => kind === 'opaque');
  return failures(found) > 0 && mayBeTaken ? [unclear] : found;
}

function takenByOneOf(
  shape: Shape,
  supShapes: readonly Shape[],
  { sub, sup, path }: Place,
  context: Context,
): readonly Difference[] {
  if ('values' in shape && shape.values !== undefined) {
    return missingValues(shape.kind, shape.values as readonly Scalar[], supShapes, path);
  }
  const attempts = counterparts(shape, supShapes, context).map((each) =>
    compareShapes(shape, each, path, context),
  );
  const [nearest] = attempts.toSorted((one, other) => failures(one) - failures(other));
  return nearest ?? [{ path, aspect: 'type', sub, sup, weight: 'narrower' }];
}

/** Of several objects the ones meant are those whose discriminating fields do not exclude the other's. */
function counterparts(
  shape: Shape,
  supShapes: readonly Shape[],
  { subRoot, supRoot }: Context,
): readonly Shape[] {
  const candidates = supShapes.filter(({ kind }) => kind === shape.kind);
  if (shape.kind !== 'object') return candidates;
  const meant = candidates.filter(
    (each) => each.kind === 'object' && !haveDiscriminator(shape, each, subRoot, supRoot),
  );
  return meant.length > 0 ? meant : candidates;
}

const failures = (found: readonly Difference[]): number =>
  found.filter(({ weight }) => weight !== 'named').length;

type Scalar = string | number | boolean;

function missingValues(
  kind: string,
  values: readonly Scalar[],
  supShapes: readonly Shape[],
  path: string,
): readonly Difference[] {
  const candidates = supShapes.filter((each) => each.kind === kind);
  const answers = values.map((value) => candidates.map((shape) => takes(shape, value)));
  const missing = answers.flatMap((each, index) => (each.includes('yes') ? [] : [index]));
  if (missing.length === 0) return [];
  const isUnclear = missing.every((index) => answers[index]?.includes('unclear'));
  const allowed = candidates.flatMap((each): readonly Scalar[] =>
    'values' in each ? (each.values ?? []) : [],
  );
  return [
    {
      path,
      aspect: 'values',
      sub: values,
      sup: allowed.length > 0 ? allowed : supShapes.map((each) => each.kind),
      weight: isUnclear ? 'unclear' : 'narrower',
    },
  ];
}

function takes(shape: Shape, value: Scalar): 'yes' | 'no' | 'unclear' {
  if (shape.kind !== 'boolean' && shape.kind !== 'number' && shape.kind !== 'string') return 'no';
  if (shape.values !== undefined && !(shape.values as readonly unknown[]).includes(value)) {
    return 'no';
  }
  if (Object.keys(shape.other).length > 0) return 'unclear';
  switch (shape.kind) {
    case 'boolean':
      return 'yes';
    case 'number':
      return takesNumber(shape, value as number);
    case 'string':
      return takesString(shape, value as string);
    default:
      return shape satisfies never;
  }
}

function takesNumber(shape: NumberShape, value: number): 'yes' | 'no' | 'unclear' {
  const { minimum, maximum, multipleOf } = shape;
  if (shape.isInteger && !Number.isInteger(value)) return 'no';
  if (value < minimum.at || (minimum.isExclusive && value === minimum.at)) return 'no';
  if (value > maximum.at || (maximum.isExclusive && value === maximum.at)) return 'no';
  if (multipleOf === undefined) return 'yes';
  if (!Number.isSafeInteger(multipleOf) || !Number.isSafeInteger(value)) return 'unclear';
  return value % multipleOf === 0 ? 'yes' : 'no';
}

function takesString(shape: StringShape, value: string): 'yes' | 'no' | 'unclear' {
  // Code points or UTF-16 units: validators count differently, so both must fit.
  const lengths = [value.length, [...value].length];
  if (lengths.some((length) => length < shape.minLength || length > shape.maxLength)) return 'no';
  return shape.patterns.length + shape.formats.length === 0 ? 'yes' : 'unclear';
}

function compareShapes(
  sub: Shape,
  sup: Shape,
  path: string,
  context: Context,
): readonly Difference[] {
  if (sub.kind === 'any' || sup.kind === 'any' || sub.kind === 'opaque' || sup.kind === 'opaque') {
    return [];
  }
  const others = compareOthers(sub.other, sup.other, path);
  switch (sub.kind) {
    case 'null':
    case 'boolean':
      return [...others, ...onlyValues(sub, sup, path)];
    case 'number':
      return [
        ...others,
        ...onlyValues(sub, sup, path),
        ...compareNumbers(sub, sup as NumberShape, path),
      ];
    case 'string':
      return [
        ...others,
        ...onlyValues(sub, sup, path),
        ...compareStrings(sub, sup as StringShape, path),
      ];
    case 'array':
      return [...others, ...compareArrays(sub, sup as ArrayShape, path, context)];
    case 'object':
      return [...others, ...compareObjects(sub, sup as ObjectShape, path, context)];
    default:
      return sub satisfies never;
  }
}

function compareOthers(
  sub: Readonly<Record<string, unknown>>,
  sup: Readonly<Record<string, unknown>>,
  path: string,
): readonly Difference[] {
  const names = new Set([...Object.keys(sub), ...Object.keys(sup)]);
  return [...names].flatMap((name) =>
    canonicalText(sub[name]) === canonicalText(sup[name])
      ? []
      : [{ path, aspect: name, sub: sub[name], sup: sup[name], weight: 'unclear' as const }],
  );
}

/** A shape without a list of values is more than one that has a list. */
function onlyValues(sub: Shape, sup: Shape, path: string): readonly Difference[] {
  if (!('values' in sup) || sup.values === undefined) return [];
  return [{ path, aspect: 'values', sub: sub.kind, sup: sup.values, weight: 'narrower' }];
}

/** Differences of the aspects that are true; every one is narrower. */
const narrower = (
  path: string,
  aspects: readonly (readonly [isNarrower: boolean, aspect: string, sub: unknown, sup: unknown])[],
): readonly Difference[] =>
  aspects.flatMap(([isNarrower, aspect, sub, sup]) =>
    isNarrower ? [{ path, aspect, sub, sup, weight: 'narrower' as const }] : [],
  );

const limited = (most: number): number | undefined => (Number.isFinite(most) ? most : undefined);

function compareNumbers(sub: NumberShape, sup: NumberShape, path: string): readonly Difference[] {
  if (sup.isInteger && !sub.isInteger) {
    return [{ path, aspect: 'type', sub: 'number', sup: 'integer', weight: 'narrower' }];
  }
  const [first, last] = sub.isInteger ? [firstWhole, lastWhole] : [same, same];
  const [subLeast, supLeast] = [first(sub.minimum), first(sup.minimum)];
  const [subMost, supMost] = [last(sub.maximum), last(sup.maximum)];
  const isHigher = supLeast.at > subLeast.at || isTighter(supLeast, subLeast);
  const isLower = supMost.at < subMost.at || isTighter(supMost, subMost);
  return [
    ...narrower(path, [
      [isHigher, 'minimum', boundText(sub.minimum), boundText(sup.minimum)],
      [isLower, 'maximum', boundText(sub.maximum), boundText(sup.maximum)],
    ]),
    ...compareMultiples(sub, sup, path),
  ];
}

/** The least whole number that a lower bound takes. */
const firstWhole = ({ at, isExclusive }: Bound): Bound => ({
  at: isExclusive && Number.isInteger(at) ? at + 1 : Math.ceil(at),
  isExclusive: false,
});

const lastWhole = ({ at, isExclusive }: Bound): Bound => ({
  at: isExclusive && Number.isInteger(at) ? at - 1 : Math.floor(at),
  isExclusive: false,
});

const same = (bound: Bound): Bound => bound;

const isTighter = (sup: Bound, sub: Bound): boolean =>
  sup.at === sub.at && sup.isExclusive && !sub.isExclusive;

const boundText = ({ at, isExclusive }: Bound): number | string | undefined => {
  if (!Number.isFinite(at)) return undefined;
  return isExclusive ? `${at}, exclusive` : at;
};

function compareMultiples(sub: NumberShape, sup: NumberShape, path: string): readonly Difference[] {
  if (sup.multipleOf === undefined || sup.multipleOf === sub.multipleOf) return [];
  const difference = { path, aspect: 'multipleOf', sub: sub.multipleOf, sup: sup.multipleOf };
  const step = sub.multipleOf ?? (sub.isInteger ? 1 : undefined);
  if (step === undefined) return [{ ...difference, weight: 'narrower' }];
  // Fractions of the decimal system are not exact as numbers.
  if (!Number.isSafeInteger(step) || !Number.isSafeInteger(sup.multipleOf)) {
    return [{ ...difference, weight: 'unclear' }];
  }
  return step % sup.multipleOf === 0 ? [] : [{ ...difference, weight: 'narrower' }];
}

function compareStrings(sub: StringShape, sup: StringShape, path: string): readonly Difference[] {
  const lengths = narrower(path, [
    [sup.minLength > sub.minLength, 'minLength', sub.minLength, sup.minLength],
    [sup.maxLength < sub.maxLength, 'maxLength', limited(sub.maxLength), limited(sup.maxLength)],
  ]);
  const lists = [
    ['pattern', sub.patterns, sup.patterns],
    ['format', sub.formats, sup.formats],
  ] as const;
  return [
    ...lengths,
    ...lists.flatMap(([aspect, one, other]): readonly Difference[] => {
      if (other.every((each) => one.includes(each))) return [];
      // Whether one pattern takes all that another does cannot be told; any string is more than either.
      const isAnyString = sub.patterns.length + sub.formats.length === 0;
      const weight = isAnyString ? 'narrower' : 'unclear';
      return [{ path, aspect, sub: shown(one), sup: shown(other), weight }];
    }),
  ];
}

const shown = (list: readonly string[]): unknown => (list.length > 1 ? list : list[0]);

function compareArrays(
  sub: ArrayShape,
  sup: ArrayShape,
  path: string,
  context: Context,
): readonly Difference[] {
  const found: Difference[] = [
    ...narrower(path, [
      [sup.minItems > sub.minItems, 'minItems', sub.minItems, sup.minItems],
      [sup.maxItems < sub.maxItems, 'maxItems', limited(sub.maxItems), limited(sup.maxItems)],
      [sup.isUnique && !sub.isUnique, 'uniqueItems', false, true],
    ]),
  ];
  const places = Math.max(sub.prefix.length, sup.prefix.length);
  for (let at = 0; at < Math.min(places, sub.maxItems); at += 1) {
    const [one, other] = [sub.prefix[at] ?? sub.rest, sup.prefix[at] ?? sup.rest];
    // What sup has no place for, its maxItems has told.
    if (other !== false) found.push(...compareParts(one, other, `${path}[${at}]`, context));
  }
  if (sub.maxItems > places && sup.rest !== false) {
    found.push(...compareParts(sub.rest, sup.rest, `${path}[]`, context));
  }
  return found;
}

function compareObjects(
  sub: ObjectShape,
  sup: ObjectShape,
  path: string,
  context: Context,
): readonly Difference[] {
  const names = new Set([...sub.properties.keys(), ...sup.properties.keys(), ...sup.required]);
  return [
    ...[...names].flatMap((name) => compareField(name, sub, sup, fieldPath(path, name), context)),
    ...compareUnknownFields(sub, sup, path, context),
    ...compareNames(sub, sup, path, context),
    ...narrower(path, [
      [sup.minProperties > leastFields(sub), 'minProperties', sub.minProperties, sup.minProperties],
      [
        sup.maxProperties < sub.maxProperties,
        'maxProperties',
        limited(sub.maxProperties),
        limited(sup.maxProperties),
      ],
    ]),
  ];
}

const leastFields = ({ minProperties, required }: ObjectShape): number =>
  Math.max(minProperties, required.size);

const fieldPath = (path: string, name: string): string => {
  const isWord = /^[A-Za-z_$][\w$-]*$/.test(name);
  if (!isWord) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
};

function compareField(
  name: string,
  sub: ObjectShape,
  sup: ObjectShape,
  path: string,
  context: Context,
): readonly Difference[] {
  const [one, other] = [sub.properties.get(name), sup.properties.get(name)];
  const difference = { path, aspect: 'field', sub: one ?? 'not named', sup: other ?? 'not named' };
  if (sup.required.has(name) && !sub.required.has(name)) {
    const was = one === undefined ? 'not named' : 'optional';
    return [
      { path, aspect: 'required', sub: was, sup: 'required', weight: 'narrower' },
      ...(one === undefined || other === undefined ? [] : compareParts(one, other, path, context)),
    ];
  }
  if (one !== undefined && other !== undefined) return compareParts(one, other, path, context);
  if (one !== undefined) {
    return sup.additional === false && canonicalText(one) !== '{"not":{}}'
      ? [{ ...difference, sup: 'refused', weight: 'narrower' }]
      : compareParts(one, sup.additional, path, context);
  }
  if (other === undefined) return [];
  // What sub requires without naming it is there, and is what its other fields are.
  if (sub.required.has(name)) return compareParts(sub.additional, other, path, context);
  // Only a record says something of the names of its fields: they are all its own.
  const isRecord = sub.names !== undefined;
  const isFree = sub.additional === false || (sub.additional === true && !isRecord);
  const found = isFree ? [] : compareParts(sub.additional, other, path, context);
  return failures(found) > 0 ? found : [{ ...difference, weight: 'named' }];
}

function compareUnknownFields(
  sub: ObjectShape,
  sup: ObjectShape,
  path: string,
  context: Context,
): readonly Difference[] {
  if (sub.additional === false || sup.additional === true) return [];
  if (sup.additional === false) {
    return [{ path, aspect: 'unknown fields', sub: 'kept', sup: 'refused', weight: 'narrower' }];
  }
  return compareParts(sub.additional, sup.additional, `${path}[]`, context);
}

const ANY_NAME: SchemaPart = { type: 'string' };

function compareNames(
  sub: ObjectShape,
  sup: ObjectShape,
  path: string,
  context: Context,
): readonly Difference[] {
  if (sup.names === undefined) return [];
  const found = compareParts(sub.names ?? ANY_NAME, sup.names, '', context);
  if (failures(found) === 0) return [];
  const weight = found.some((each) => each.weight === 'narrower') ? 'narrower' : 'unclear';
  const aspect = 'names of fields';
  return [{ path, aspect, sub: sub.names ?? ANY_NAME, sup: sup.names, weight }];
}

/** What is left of a shape in a reader's types. */
function typeOnly(shape: Shape): Shape {
  switch (shape.kind) {
    case 'any':
    case 'opaque':
      return shape;
    case 'null':
    case 'boolean':
      return { ...shape, other: {} };
    case 'number': {
      const [minimum, maximum] = [-Infinity, Infinity].map((at) => ({ at, isExclusive: false }));
      return { ...shape, minimum, maximum, multipleOf: undefined, other: {} } as NumberShape;
    }
    case 'string':
      return { ...shape, minLength: 0, maxLength: Infinity, patterns: [], formats: [], other: {} };
    case 'array': {
      const places = shape.prefix.length;
      return {
        ...shape,
        minItems: Math.min(shape.minItems, places),
        maxItems: shape.rest === false ? places : Infinity,
        isUnique: false,
        other: {},
      };
    }
    case 'object':
      return {
        ...shape,
        // Fields that it does not name are nothing to a reader.
        additional: shape.additional === false ? true : shape.additional,
        names: undefined,
        minProperties: 0,
        maxProperties: Infinity,
        other: {},
      };
    default:
      return shape satisfies never;
  }
}
