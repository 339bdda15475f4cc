/** Random schemas as recipes, so that a schema, its documents and changed schemas come from one value. */
import fc from 'fast-check';
import { z } from 'zod';
import type { Json } from '../../src/model/event.ts';

export type Recipe =
  | { readonly kind: 'any' | 'null' | 'boolean' }
  | {
      readonly kind: 'string';
      readonly min?: number;
      readonly max?: number;
      readonly pattern?: string;
    }
  | {
      readonly kind: 'number';
      readonly isInteger: boolean;
      readonly min?: number;
      readonly max?: number;
      readonly step?: number;
    }
  | { readonly kind: 'values'; readonly values: readonly (string | number)[] }
  | { readonly kind: 'array'; readonly item: Recipe; readonly min?: number; readonly max?: number }
  | { readonly kind: 'record'; readonly value: Recipe }
  | { readonly kind: 'union'; readonly options: readonly Recipe[] }
  | { readonly kind: 'object'; readonly isStrict: boolean; readonly fields: readonly Field[] };

interface Field {
  readonly name: string;
  readonly isOptional: boolean;
  readonly value: Recipe;
}

const NAMES = ['a', 'b', 'c', 'd'];
const VALUES = ['', 'x', 'xy', 'xyz', 0, 1, 2.5];
const PATTERNS = ['x', '^x', 'y$'];

/**
 * @param strangers whether an object may have, beside its own, fields of names that recipes give a
 * meaning elsewhere.
 */
export function schemaOf(recipe: Recipe, strangers: 'taken' | 'refused' = 'taken'): z.ZodType {
  const inner = (part: Recipe): z.ZodType => schemaOf(part, strangers);
  switch (recipe.kind) {
    case 'any':
      return z.unknown();
    case 'null':
      return z.null();
    case 'boolean':
      return z.boolean();
    case 'string': {
      const { min, max, pattern } = recipe;
      let text = z.string();
      if (min !== undefined) text = text.min(min);
      if (max !== undefined) text = text.max(max);
      return pattern === undefined ? text : text.regex(new RegExp(pattern));
    }
    case 'number': {
      const { isInteger, min, max, step } = recipe;
      let number: z.ZodNumber = isInteger ? z.int() : z.number();
      if (min !== undefined) number = number.min(min);
      if (max !== undefined) number = number.lt(max);
      return step === undefined ? number : number.multipleOf(step);
    }
    case 'values':
      return z.literal([...recipe.values]);
    case 'array': {
      let list = z.array(inner(recipe.item));
      if (recipe.min !== undefined) list = list.min(recipe.min);
      return recipe.max === undefined ? list : list.max(recipe.max);
    }
    case 'record':
      return z.record(z.string(), inner(recipe.value));
    case 'union':
      return z.union(recipe.options.map(inner));
    case 'object': {
      const shape = Object.fromEntries(
        recipe.fields.map(({ name, isOptional, value }) => {
          const schema = inner(value);
          return [name, isOptional ? schema.optional() : schema];
        }),
      );
      if (recipe.isStrict) return z.strictObject(shape);
      const none = Object.fromEntries(NAMES.map((name) => [name, z.never().optional()]));
      return z.object(strangers === 'refused' ? { ...none, ...shape } : shape);
    }
    default:
      return recipe satisfies never;
  }
}

const small = fc.option(fc.nat(3), { nil: undefined });
const defined = <Value extends object>(value: Value): Value =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Value;

const scalars: fc.Arbitrary<Recipe> = fc.oneof(
  fc.constantFrom<Recipe>({ kind: 'any' }, { kind: 'null' }, { kind: 'boolean' }),
  fc
    .record({
      min: small,
      max: small,
      pattern: fc.option(fc.constantFrom(...PATTERNS), { nil: undefined }),
    })
    .map((options) => defined({ kind: 'string', ...options }) as Recipe),
  fc
    .record({
      isInteger: fc.boolean(),
      min: small,
      max: small,
      step: fc.option(fc.constantFrom(1, 2, 4, 0.5), { nil: undefined }),
    })
    .map((options) => defined({ kind: 'number', ...options }) as Recipe),
  fc.subarray(VALUES, { minLength: 1 }).map((values): Recipe => ({ kind: 'values', values })),
);

const { recipe } = fc.letrec<{ recipe: Recipe }>((tie) => ({
  recipe: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    scalars,
    fc
      .record({ item: tie('recipe'), min: small, max: small })
      .map((options) => defined({ kind: 'array', ...options }) as Recipe),
    tie('recipe').map((value): Recipe => ({ kind: 'record', value })),
    fc
      .array(tie('recipe'), { minLength: 2, maxLength: 3 })
      .map((options): Recipe => ({ kind: 'union', options })),
    fc
      .record({ isStrict: fc.boolean(), fields: fieldsOf(tie('recipe')) })
      .map((options): Recipe => ({ kind: 'object', ...options })),
  ),
}));

function fieldsOf(value: fc.Arbitrary<Recipe>): fc.Arbitrary<Field[]> {
  const field = fc.record({ name: fc.constantFrom(...NAMES), isOptional: fc.boolean(), value });
  return fc.uniqueArray(field, { maxLength: 4, selector: ({ name }) => name });
}

export const recipes: fc.Arbitrary<Recipe> = recipe;

/** Documents that mostly satisfy the recipe. */
export function documentsOf(of: Recipe): fc.Arbitrary<Json> {
  switch (of.kind) {
    case 'any':
      return fc.oneof(
        fc.constantFrom<Json>('x', 1, null),
        fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>,
      );
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'string': {
      const letters = fc.string({
        unit: fc.constantFrom('x', 'y'),
        minLength: of.min ?? 0,
        maxLength: Math.max(of.min ?? 0, of.max ?? 5),
      });
      return letters;
    }
    case 'number':
      return of.isInteger
        ? fc.integer({ min: of.min ?? -6, max: Math.max(of.min ?? -6, of.max ?? 9) })
        : fc
            .integer({
              min: (of.min ?? -6) * 2,
              max: Math.max((of.min ?? -6) * 2, (of.max ?? 9) * 2),
            })
            .map((half) => half / 2);
    case 'values':
      return fc.constantFrom(...of.values);
    case 'array':
      return fc.array(documentsOf(of.item), {
        minLength: of.min ?? 0,
        maxLength: Math.max(of.min ?? 0, of.max ?? 4),
      });
    case 'record':
      return fc.dictionary(fc.constantFrom(...NAMES, 'other'), documentsOf(of.value), {
        maxKeys: 3,
      });
    case 'union':
      return fc.oneof(...of.options.map(documentsOf));
    case 'object': {
      const named = Object.fromEntries(
        of.fields.map(({ name, value }) => [name, documentsOf(value)]),
      );
      const unknown = of.isStrict ? {} : { unknown: fc.constantFrom<Json>(1, 'x', null) };
      const requiredKeys = of.fields.flatMap(({ name, isOptional }) => (isOptional ? [] : [name]));
      return fc.record(
        { ...named, ...unknown },
        { requiredKeys: requiredKeys as 'unknown'[] },
      ) as fc.Arbitrary<Json>;
    }
    default:
      return of satisfies never;
  }
}

/** The recipe with one to three random changes, each anywhere in it. */
export const mutated = (of: Recipe): fc.Arbitrary<Recipe> =>
  fc
    .array(fc.nat(), { minLength: 1, maxLength: 3 })
    .chain((seeds) =>
      seeds.reduce(
        (before: fc.Arbitrary<Recipe>, seed) => before.chain((each) => changedOnce(each, seed)),
        fc.constant(of),
      ),
    );

function changedOnce(of: Recipe, seed: number): fc.Arbitrary<Recipe> {
  switch (of.kind) {
    case 'any':
    case 'null':
    case 'boolean':
      return scalars;
    case 'string':
    case 'number':
      return fc.oneof(
        changedOptions(of),
        fc.constant<Recipe>({ kind: 'union', options: [of, { kind: 'null' }] }),
        { weight: 1, arbitrary: scalars },
      );
    case 'values':
      return fc.subarray(VALUES, { minLength: 1 }).map((values) => ({ ...of, values }));
    case 'array':
      return fc.oneof(
        changedOnce(of.item, seed).map((item) => ({ ...of, item })),
        fc
          .record({ min: small, max: small })
          .map((options) => defined({ ...of, ...options }) as Recipe),
      );
    case 'record':
      return changedOnce(of.value, seed).map((value) => ({ ...of, value }));
    case 'union': {
      const at = seed % of.options.length;
      return fc.oneof(
        changedOnce(of.options[at] as Recipe, seed).map(
          (option): Recipe => ({ ...of, options: of.options.with(at, option) }),
        ),
        recipes.map((option): Recipe => ({ ...of, options: [...of.options, option] })),
        fc.constant(of.options[at] as Recipe),
      );
    }
    case 'object':
      return changedObject(of, seed);
    default:
      return of satisfies never;
  }
}

const changedOptions = (of: Recipe): fc.Arbitrary<Recipe> =>
  fc.record({ min: small, max: small }).map((options) => defined({ ...of, ...options }) as Recipe);

function changedObject(
  of: Extract<Recipe, { kind: 'object' }>,
  seed: number,
): fc.Arbitrary<Recipe> {
  const field = of.fields[seed % Math.max(of.fields.length, 1)];
  const free = NAMES.find((name) => !of.fields.some((each) => each.name === name));
  const others = of.fields.filter((each) => each !== field);
  const changes: fc.Arbitrary<Recipe>[] = [fc.constant({ ...of, isStrict: !of.isStrict })];
  if (field !== undefined) {
    changes.push(
      changedOnce(field.value, seed).map((value) => ({
        ...of,
        fields: [...others, { ...field, value }],
      })),
      fc.constant({ ...of, fields: [...others, { ...field, isOptional: !field.isOptional }] }),
      fc.constant({ ...of, fields: others }),
    );
  }
  if (free !== undefined) {
    changes.push(
      fc
        .record({ isOptional: fc.boolean(), value: recipes })
        .map((rest) => ({ ...of, fields: [...of.fields, { name: free, ...rest }] })),
    );
  }
  return fc.oneof(...changes);
}
