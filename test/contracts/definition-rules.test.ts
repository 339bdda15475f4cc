import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { z } from 'zod';
import { contractOf, define, refusal } from './support.ts';

describe('A definition is refused at start-up', () => {
  const transforming: Readonly<Record<string, z.ZodType>> = {
    transform: z.string().transform((text) => text.trim()),
    'a nested transform': z.object({ a: z.array(z.string().transform((text) => text.trim())) }),
    coerce: z.object({ a: z.coerce.number() }),
    default: z.object({ a: z.string().default('x') }),
    prefault: z.object({ a: z.string().prefault('x') }),
    catch: z.object({ a: z.string().catch('x') }),
    trim: z.object({ a: z.string().trim() }),
    'lower case': z.object({ a: z.string().toLowerCase() }),
    pipe: z.object({ a: z.string().pipe(z.email()) }),
    preprocess: z.preprocess((value) => value, z.string()),
    stringbool: z.object({ a: z.stringbool() }),
    'a codec': z.codec(z.string(), z.number(), { decode: Number, encode: String }),
    'a normalizing URL': z.object({ a: z.url({ normalize: true }) }),
    'a transform behind lazy': z.lazy(() => z.string().transform((text) => text)),
    'a transform in a union': z.union([z.number(), z.object({ a: z.string().trim() })]),
    'a transform in a record': z.record(z.string(), z.string().trim()),
    'a transform in a tuple': z.tuple([z.string()], z.string().trim()),
    'a transform in an intersection': z.intersection(
      z.object({}),
      z.object({ a: z.string().trim() }),
    ),
    'a transform in a catchall': z.object({}).catchall(z.string().trim()),
  };
  for (const [name, schema] of Object.entries(transforming)) {
    it(`when its schema transforms: ${name}`, () => {
      assert.match(
        refusal({ 'a.b': schema }),
        /"a\.b" .*must not transform: put the mapping in the source/,
      );
    });
  }

  const notJson: Readonly<Record<string, z.ZodType>> = {
    date: z.date(),
    bigint: z.bigint(),
    map: z.map(z.string(), z.string()),
    set: z.set(z.string()),
    undefined: z.undefined(),
    nan: z.nan(),
    symbol: z.symbol(),
    file: z.file(),
  };
  for (const [name, schema] of Object.entries(notJson)) {
    it(`when its schema is not JSON: ${name}`, () => {
      assert.match(refusal({ 'a.b': z.object({ x: schema }) }), /x is a \w+, which is not JSON/);
    });
  }

  it('naming where in the schema, for every definition at once', () => {
    const message = refusal({
      'a.b': z.object({ lines: z.array(z.object({ at: z.date() })) }),
      'c.d': z.object({ name: z.string().trim() }),
    });
    assert.match(message, /"a\.b" lines\[\]\.at/);
    assert.match(message, /"c\.d" name/);
  });

  for (const type of [
    '',
    'a b',
    'a\u0000b',
    '.a',
    'a.',
    'a..b',
    '__proto__',
    'x'.repeat(600),
    'ü',
  ]) {
    it(`when its type is ${JSON.stringify(type.slice(0, 20))}`, () => {
      refusal(Object.fromEntries([[type, z.object({})]]));
    });
  }

  for (const type of [
    'user.created',
    'deal.stage_changed',
    'com.acme.Order-v2',
    'order.placed/2',
  ]) {
    it(`but not when its type is ${type}`, () => {
      assert.ok(define({ [type]: z.object({}) })[type]);
    });
  }

  const versions: Readonly<Record<string, unknown>> = {
    'version 0': { version: 0, data: z.object({}) },
    'version 1.5': { version: 1.5, data: z.object({}) },
    'no version': { data: z.object({}) },
    'an upcast from the current version': { version: 1, data: z.object({}), upcast: { 1: String } },
    'a gap in the upcasts': { version: 4, data: z.object({}), upcast: { 1: String, 3: String } },
    'no schema': { version: 1, data: {} },
    'nothing at all': null,
  };
  for (const [name, definition] of Object.entries(versions)) {
    it(`when it has ${name}`, () => {
      refusal({ 'a.b': definition });
    });
  }

  it('but not when its schema refers to itself', () => {
    const tree: z.ZodType = z.object({ name: z.string(), children: z.array(z.lazy(() => tree)) });
    assert.equal(contractOf(tree).check({ name: 'n', children: [] }, 1).ok, true);
  });
});
