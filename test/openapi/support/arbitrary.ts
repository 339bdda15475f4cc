/** Values that satisfy a JSON Schema of the document, and such as satisfy it nearly. */
import fc from 'fast-check';

export type Schema = boolean | Readonly<Record<string, unknown>>;
type Resolve = (ref: string) => Schema;

/** What hurts parsers, databases and careless code. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(
    '',
    ' ',
    '\u0000',
    '\ud800',
    '\uffff',
    '__proto__',
    'constructor',
    'toString',
    '../..',
    '%',
    '%00',
    '%2e%2e',
    "'; drop table events; --",
    '9'.repeat(30),
    '-1',
    '1e999',
    'NaN',
    'x'.repeat(600),
    '𝒳'.repeat(300),
  ),
);
export const hostileJson: fc.Arbitrary<unknown> = fc.oneof(
  { depthSize: 'small' },
  fc.jsonValue({ maxDepth: 4 }),
  hostileText,
  fc.constantFrom(
    null,
    -1,
    1.5,
    1e308,
    2 ** 53,
    {},
    [],
    { toString: 1, constructor: { prototype: {} } },
    JSON.parse('{"__proto__":{"polluted":true}}'),
    nested(200),
  ),
);

function nested(levels: number): unknown {
  return levels === 0 ? 0 : [nested(levels - 1)];
}

/** A value of the schema; now and then a part of it is something else. */
export function nearly(schema: Schema, resolve: Resolve): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 5, arbitrary: someOf(schema, resolve, 0) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(someOf(schema, resolve, 0), fc.nat(), hostileJson)
        .map(([value, at, hostile]) => replaced(value, at, hostile)),
    },
    { weight: 1, arbitrary: hostileJson },
  );
}

/** The value with one of its members become another, or with one more. */
function replaced(value: unknown, at: number, hostile: unknown): unknown {
  if (typeof value !== 'object' || value === null) return hostile;
  const keys = Object.keys(value);
  const key = keys[at % (keys.length + 1)] ?? 'unheardOf';
  if (!Array.isArray(value)) return { ...value, [key]: hostile };
  return value.length === 0 ? [hostile] : value.with(at % value.length, hostile);
}

const DEPTH_MAX = 5;

export function someOf(schema: Schema, resolve: Resolve, depth = 0): fc.Arbitrary<unknown> {
  if (typeof schema === 'boolean' || depth > DEPTH_MAX) return fc.jsonValue({ maxDepth: 2 });
  const at = (part: unknown) => someOf(part as Schema, resolve, depth + 1);
  const { $ref, anyOf, oneOf, allOf } = schema;
  if (typeof $ref === 'string') return at(resolve($ref));
  if ('const' in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
  const choices = anyOf ?? oneOf;
  if (Array.isArray(choices)) return fc.oneof(...choices.map(at));
  if (Array.isArray(allOf)) return at(Object.assign({}, ...(allOf as object[])));
  const { type } = schema;
  if (Array.isArray(type)) return fc.oneof(...type.map((each) => at({ ...schema, type: each })));
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'string':
      return textOf(schema);
    case 'array':
      return fc.array(at(schema.items ?? true), {
        minLength: Number(schema.minItems ?? 0),
        maxLength: Math.min(Number(schema.maxItems ?? 4), 4),
      });
    case 'object':
      return objectOf(schema, at);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

const numberOf = ({ minimum, maximum, type }: Readonly<Record<string, unknown>>) => {
  const min = Math.max(Number(minimum ?? -1_000), -(2 ** 31));
  const max = Math.min(Number(maximum ?? 1_000), 2 ** 31 - 1);
  return type === 'integer' ? fc.integer({ min, max }) : fc.double({ min, max, noNaN: true });
};

function textOf({
  minLength,
  maxLength,
  pattern,
  format,
}: Readonly<Record<string, unknown>>): fc.Arbitrary<string> {
  // No control characters: there are none in what is made below.
  if (typeof pattern === 'string' && !pattern.startsWith('^[^') && format === undefined) {
    try {
      return fc.stringMatching(new RegExp(pattern, 'u'), { size: 'small' });
    } catch {
      // fast-check has no look-ahead.
      return fc.constantFrom('1', '7', '500', '100000');
    }
  }
  switch (format) {
    case 'date-time':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100') })
        .map((date) => date.toISOString());
    case 'uri':
      return fc.webUrl();
    case 'uri-reference':
      return fc.constantFrom('crm', '/deals/7', 'https://a.example/b', 'urn:x:y');
    default:
      return fc.string({
        minLength: Number(minLength ?? 0),
        maxLength: Math.min(Number(maxLength ?? 20), Number(minLength ?? 0) + 20),
      });
  }
}

function objectOf(
  { properties = {}, required = [], additionalProperties }: Readonly<Record<string, unknown>>,
  at: (part: unknown) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  const known = Object.entries(properties as Readonly<Record<string, unknown>>);
  const named = fc.record(Object.fromEntries(known.map(([name, part]) => [name, at(part)])), {
    requiredKeys: required as string[],
  });
  if (known.length > 0 || typeof additionalProperties !== 'object') return named;
  return fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), at(additionalProperties), { maxKeys: 3 });
}
