import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { z } from 'zod';
import { compareSchemas, type SchemaChange } from '../../src/contracts/compare-schemas.ts';
import { jsonSchemaOf } from '../../src/contracts/json-schema.ts';
import type { JsonSchema } from '../../src/model/contract.ts';
import { documentsOf, mutated, type Recipe, recipes, schemaOf } from './schema-recipes.ts';

const changes = (old: z.ZodType, now: z.ZodType): readonly SchemaChange[] =>
  compareSchemas(jsonSchemaOf(old), jsonSchemaOf(now), 'has readers');

/** Whether it says that nobody who sends the old data is refused. */
const keepsSenders = (found: readonly SchemaChange[]): boolean =>
  !found.some(({ kind, affects }) => kind !== 'compatible' && affects.includes('senders'));

const keepsReaders = (found: readonly SchemaChange[]): boolean =>
  !found.some(({ kind, affects }) => kind !== 'compatible' && affects.includes('readers'));

/** A schema and another that was made of it by a few random changes; its documents with it. */
const evolutions = recipes.chain((old) =>
  fc.record({ old: fc.constant(old), now: mutated(old), data: documentsOf(old) }),
);

describe('What the comparison of two schemas calls compatible', () => {
  it('takes every document that the old schema takes (zod decides)', () => {
    let compatible = 0;
    let breaking = 0;
    fc.assert(
      fc.property(evolutions, ({ old, now, data }) => {
        // Of a field that only the new schema names, nobody has said what senders may put into it.
        if (!schemaOf(old, 'refused').safeParse(data).success) return;
        if (!keepsSenders(changes(schemaOf(old), schemaOf(now)))) {
          breaking += 1;
          return;
        }
        compatible += 1;
        const parsed = schemaOf(now).safeParse(data);
        assert.ok(parsed.success, `${JSON.stringify(data)}: ${parsed.error?.message}`);
      }),
      { numRuns: 4_000 },
    );
    assert.ok(compatible > 300, `only ${compatible} of the pairs were compatible`);
    assert.ok(breaking > 300, `only ${breaking} of the pairs were breaking`);
  });

  it('gives readers nothing that their types do not know, in the fields that these name', () => {
    fc.assert(
      fc.property(
        recipes.chain((old) =>
          mutated(old).chain((now) =>
            fc.record({ old: fc.constant(old), now: fc.constant(now), data: documentsOf(now) }),
          ),
        ),
        ({ old, now, data }) => {
          if (!schemaOf(now, 'refused').safeParse(data).success) return;
          if (!keepsReaders(changes(schemaOf(old), schemaOf(now)))) return;
          const read = schemaOf(typesOnly(old)).safeParse(data);
          assert.ok(read.success, `${JSON.stringify(data)}: ${read.error?.message}`);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('is every schema compared with itself, without any change', () => {
    fc.assert(
      fc.property(recipes, (recipe) => {
        assert.deepEqual(changes(schemaOf(recipe), schemaOf(recipe)), []);
      }),
    );
  });
});

/** The recipe without what a reader's types do not say. */
function typesOnly(recipe: Recipe): Recipe {
  switch (recipe.kind) {
    case 'string':
      return { kind: 'string' };
    case 'number':
      return { kind: 'number', isInteger: recipe.isInteger };
    case 'array':
      return { kind: 'array', item: typesOnly(recipe.item) };
    case 'record':
      return { kind: 'record', value: typesOnly(recipe.value) };
    case 'union':
      return { kind: 'union', options: recipe.options.map((option) => typesOnly(option)) };
    case 'object':
      return {
        kind: 'object',
        isStrict: false,
        fields: recipe.fields.map((field) => ({ ...field, value: typesOnly(field.value) })),
      };
    default:
      return recipe;
  }
}

describe('A breaking change is found', () => {
  const base = {
    id: z.string().min(2).max(9),
    stage: z.enum(['won', 'lost']),
    amount: z.number().min(0).max(100),
    count: z.int().multipleOf(4),
    at: z.iso.datetime(),
    note: z.string().optional(),
    tags: z.array(z.string()).min(1).max(5),
    prices: z.record(z.string(), z.number()),
    place: z.tuple([z.string(), z.number()]),
    owner: z.object({ name: z.string(), mail: z.email().nullable() }),
    who: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('person'), name: z.string() }),
      z.object({ kind: z.literal('team'), size: z.int() }),
    ]),
    either: z.union([z.string(), z.number()]),
    sealed: z.strictObject({ a: z.string() }),
    flag: z.boolean(),
    free: z.unknown(),
    anything: z.record(z.string(), z.unknown()),
    rates: z.record(z.enum(['day', 'hour']), z.number()),
  };
  const owner = base.owner.shape;
  type Fields = Readonly<Record<string, z.ZodType>>;
  /** Field, then aspect and who is affected. */
  type Case = readonly [
    name: string,
    change: Fields,
    path: string,
    aspect: string,
    affects: string,
  ];
  const person = z.object({ kind: z.literal('person'), name: z.string() });
  const cases: readonly Case[] = [
    ['a new required field', { added: z.string() }, 'added', 'required', 'senders'],
    ['an optional field made required', { note: z.string() }, 'note', 'required', 'senders'],
    ['a required field made optional', { id: base.id.optional() }, 'id', 'required', 'readers'],
    ['another type', { id: z.number() }, 'id', 'type', 'senders,readers'],
    ['a type that can be null', { id: base.id.nullable() }, 'id', 'type', 'readers'],
    [
      'one that cannot be null any more',
      { owner: z.object({ ...owner, mail: z.email() }) },
      'owner.mail',
      'type',
      'senders',
    ],
    ['a value less', { stage: z.enum(['won']) }, 'stage', 'values', 'senders'],
    ['a value more', { stage: z.enum(['won', 'lost', 'open']) }, 'stage', 'values', 'readers'],
    ['text where values were', { stage: z.string() }, 'stage', 'values', 'readers'],
    ['values where text was', { id: z.enum(['a1', 'b2']) }, 'id', 'values', 'senders'],
    ['a longer minimum', { id: z.string().min(3).max(9) }, 'id', 'minLength', 'senders'],
    ['a shorter maximum', { id: z.string().min(2).max(8) }, 'id', 'maxLength', 'senders'],
    ['a pattern', { id: base.id.regex(/^[a-z]+$/) }, 'id', 'pattern', 'senders'],
    ['a higher minimum', { amount: z.number().min(1).max(100) }, 'amount', 'minimum', 'senders'],
    ['an excluded minimum', { amount: z.number().gt(0).max(100) }, 'amount', 'minimum', 'senders'],
    ['a lower maximum', { amount: z.number().min(0).max(99) }, 'amount', 'maximum', 'senders'],
    ['an excluded maximum', { amount: z.number().min(0).lt(100) }, 'amount', 'maximum', 'senders'],
    ['whole numbers only', { amount: z.int().min(0).max(100) }, 'amount', 'type', 'senders'],
    [
      'fractions where whole numbers were',
      { count: z.number().multipleOf(4) },
      'count',
      'type',
      'readers',
    ],
    ['larger steps', { count: z.int().multipleOf(8) }, 'count', 'multipleOf', 'senders'],
    ['another format', { at: z.email() }, 'at', 'format', 'senders'],
    ['a format where text was', { note: z.url().optional() }, 'note', 'format', 'senders'],
    [
      'more items at least',
      { tags: z.array(z.string()).min(2).max(5) },
      'tags',
      'minItems',
      'senders',
    ],
    [
      'fewer items at most',
      { tags: z.array(z.string()).min(1).max(4) },
      'tags',
      'maxItems',
      'senders',
    ],
    [
      'other items',
      { tags: z.array(z.number()).min(1).max(5) },
      'tags[]',
      'type',
      'senders,readers',
    ],
    [
      'other values of a record',
      { prices: z.record(z.string(), z.string()) },
      'prices[]',
      'type',
      'senders,readers',
    ],
    [
      'names of a record',
      { prices: z.record(z.enum(['a']), z.number()) },
      'prices',
      'names of fields',
      'senders',
    ],
    [
      'a longer tuple',
      { place: z.tuple([z.string(), z.number(), z.string()]) },
      'place',
      'minItems',
      'senders',
    ],
    ['a shorter tuple', { place: z.tuple([z.string()]) }, 'place', 'maxItems', 'senders'],
    [
      'another place of a tuple',
      { place: z.tuple([z.string(), z.boolean()]) },
      'place[1]',
      'type',
      'senders,readers',
    ],
    [
      'a changed field inside',
      { owner: z.object({ ...owner, name: z.boolean() }) },
      'owner.name',
      'type',
      'senders,readers',
    ],
    ['an alternative less', { either: z.string() }, 'either', 'type', 'senders'],
    [
      'an alternative more',
      { either: z.union([z.string(), z.number(), z.boolean()]) },
      'either',
      'type',
      'readers',
    ],
    [
      'a changed alternative',
      {
        who: z.discriminatedUnion('kind', [
          person,
          z.object({ kind: z.literal('team'), size: z.string() }),
        ]),
      },
      'who.size',
      'type',
      'senders,readers',
    ],
    [
      'a removed alternative',
      { who: z.discriminatedUnion('kind', [person]) },
      'who.kind',
      'values',
      'senders',
    ],
    [
      'a new alternative',
      {
        who: z.discriminatedUnion('kind', [
          ...base.who.options,
          z.object({ kind: z.literal('bot') }),
        ]),
      },
      'who.kind',
      'values',
      'readers',
    ],
    [
      'a field of a record that had any',
      { anything: z.object({ a: z.null().optional() }) },
      'anything.a',
      'type',
      'senders',
    ],
    [
      'a name that a record requires, with another type',
      { rates: z.object({ day: z.string(), hour: z.number() }) },
      'rates.day',
      'type',
      'senders,readers',
    ],
    ['an object closed', { owner: z.strictObject(owner) }, 'owner', 'unknown fields', 'senders'],
    [
      'a field less in a closed object',
      { sealed: z.strictObject({}) },
      'sealed.a',
      'field',
      'senders',
    ],
    [
      'unknown fields of one type',
      { owner: z.object(owner).catchall(z.string()) },
      'owner[]',
      'type',
      'senders',
    ],
    ['one of two booleans', { flag: z.literal(true) }, 'flag', 'values', 'senders'],
    ['a type where anything was', { free: z.string() }, 'free', 'type', 'senders'],
    ['anything where a type was', { id: z.unknown() }, 'id', 'type', 'readers'],
  ];
  for (const [name, change, path, aspect, affects] of cases) {
    it(`${name}, for ${affects}`, () => {
      const found = changes(z.object(base), z.object({ ...base, ...change }));
      const told = found.filter((each) => each.path === path && each.aspect === aspect);
      const affected = new Set(
        told.flatMap((each) => (each.kind === 'compatible' ? [] : each.affects)),
      );
      assert.deepEqual([...affected].join(), affects, JSON.stringify(found));
    });
  }

  for (const name of ['id', 'note', 'owner', 'who']) {
    it(`a removed field, for readers (${name})`, () => {
      const { [name as 'id']: _removed, ...rest } = base;
      const found = changes(z.object(base), z.object(rest));
      assert.deepEqual(
        found.map(({ kind, path, affects }) => [kind, path, affects.join()]),
        [['breaking', name, 'readers']],
      );
    });
  }
});

describe('A compatible change is told as information', () => {
  const cases: Readonly<Record<string, readonly [z.ZodType, z.ZodType, string]>> = {
    'a new optional field': [z.object({}), z.object({ note: z.string().optional() }), 'note'],
    'a longer maximum': [z.string().max(3), z.string().max(4), ''],
    'no maximum': [z.number().max(3), z.number(), ''],
    'no format': [z.email(), z.string(), ''],
    'fewer items': [z.array(z.string()).min(3), z.array(z.string()).min(2), ''],
    'smaller steps': [z.int().multipleOf(8), z.int().multipleOf(4), ''],
    'an object opened': [z.strictObject({}), z.object({}), ''],
    'a new optional field of a closed object': [
      z.strictObject({}),
      z.strictObject({ note: z.string().optional() }),
      'note',
    ],
  };
  for (const [name, [old, now, path]] of Object.entries(cases)) {
    it(name, () => {
      const found = changes(old, now);
      assert.ok(found.length > 0);
      assert.deepEqual(
        new Set(found.map((each) => `${each.kind} ${each.path}`)),
        new Set([`compatible ${path}`]),
      );
    });
  }

  it('and what only people read is no change', () => {
    const told = z.object({
      mail: z.email().meta({ pii: true, description: 'where we write to' }),
    });
    assert.deepEqual(changes(z.object({ mail: z.email() }), told), []);
  });

  it('so is a schema that refers to itself, and a union in another order', () => {
    const tree = (extra: Readonly<Record<string, z.ZodType>>): z.ZodType => {
      const node: z.ZodType = z.object({ children: z.array(z.lazy(() => node)), ...extra });
      return node;
    };
    assert.deepEqual(changes(tree({}), tree({})), []);
    const found = changes(tree({}), tree({ name: z.string() }));
    assert.deepEqual(found.map(({ kind, path }) => `${kind} ${path}`).toSorted(), [
      'breaking children[].name',
      'breaking name',
    ]);
    assert.deepEqual(
      changes(z.union([z.string(), z.number()]), z.union([z.number(), z.string()])),
      [],
    );
    assert.deepEqual(changes(z.enum(['a', 'b']), z.union([z.literal('b'), z.literal('a')])), []);
    assert.deepEqual(changes(z.boolean(), z.literal([true, false])), []);
  });

  it('of an old version nobody reads: only its senders count', () => {
    const [old, now] = [z.enum(['a']), z.enum(['a', 'b'])].map(jsonSchemaOf) as [
      JsonSchema,
      JsonSchema,
    ];
    assert.ok(!keepsReaders(compareSchemas(old, now, 'has readers')));
    assert.ok(keepsReaders(compareSchemas(old, now, 'has no readers')));
  });
});

describe('What the rules cannot tell counts as breaking', () => {
  const unclear: Readonly<Record<string, readonly [JsonSchema, JsonSchema]>> = {
    'a keyword that they do not know': [{ type: 'string' }, { type: 'string', contains: 'x' }],
    'such a keyword with another value': [
      { type: 'string', contentEncoding: 'base64' },
      { type: 'string', contentEncoding: 'base16' },
    ],
    'one that is gone': [{ type: 'object', patternProperties: { a: {} } }, { type: 'object' }],
    'another pattern': [
      { type: 'string', pattern: '^a' },
      { type: 'string', pattern: '^.' },
    ],
    'names by a pattern beside new fields': [
      {
        type: 'object',
        patternProperties: { a: { type: 'number' } },
        additionalProperties: false,
      },
      {
        type: 'object',
        patternProperties: { a: { type: 'number' } },
        properties: { a: { type: 'string' } },
        additionalProperties: false,
      },
    ],
    'a value and a list that does not have it': [
      { const: 'a' },
      { allOf: [{ const: 'a' }, { enum: ['b'] }] },
    ],
    'a reference that leads nowhere': [{ type: 'string' }, { $ref: '#/$defs/missing' }],
    'alternatives that overlap': [
      { oneOf: [{ type: 'string' }, { type: 'string', minLength: 2 }] },
      { oneOf: [{ type: 'string' }, { type: 'string', minLength: 3 }] },
    ],
  };
  for (const [name, [old, now]] of Object.entries(unclear)) {
    it(name, () => {
      const found = compareSchemas(old, now, 'has readers');
      assert.ok(
        found.some(({ kind }) => kind === 'unclear'),
        JSON.stringify(found),
      );
      assert.deepEqual(compareSchemas(old, old, 'has readers'), []);
      assert.deepEqual(compareSchemas(now, now, 'has readers'), []);
    });
  }

  it('rules in code, flags and options of formats, which JSON Schema cannot say', () => {
    const pairs = [
      [z.string(), z.string().refine(() => true)],
      [z.string().regex(/^a/), z.string().regex(/^a/i)],
      [z.url(), z.url({ hostname: /acme/ })],
      [z.string().regex(/a/), z.url().regex(/a/)],
      [z.unknown(), z.custom(() => true)],
    ] as const;
    for (const [old, now] of pairs) assert.ok(!keepsSenders(changes(old, now)));
  });

  it('a schema that contains itself and nothing else does not end in an endless search', () => {
    const endless: JsonSchema = { anyOf: [{ $ref: '#' }, { $ref: '#' }] };
    assert.ok(!keepsSenders(compareSchemas({ type: 'string' }, endless, 'has no readers')));
  });
});
