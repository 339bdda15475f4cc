/** Payloads that no vendor has documented: some member is gone, or is something else. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { SourceEvent } from 'tidegate/ingress';
import { z } from 'zod';
import { parseJsonText } from '../../../src/ingress/json.ts';
import { canonicalTime } from '../../../src/ingress/time.ts';
import { TidegateError } from '../../../src/model/error.ts';
import type { Json } from '../../../src/model/event.ts';
import { LIMITS } from '../../../src/model/limits.ts';
import { textProblem } from '../../../src/model/run.ts';
import { deliver, EVENTS, fixtureNames, fixtureText, SOURCES, VENDORS } from './deliveries.ts';

const ODD_VALUES = [
  'null',
  'true',
  '0',
  '-1',
  '1.5',
  '1e300',
  '9007199254740993',
  '820982911946154508',
  '""',
  '"0"',
  '"{{answer}}"',
  '"\\u0000"',
  '"\\ud800"',
  '"2016-08-12 15:23:28 UTC"',
  `"${'x'.repeat(2_000)}"`,
  '[]',
  '[null]',
  '[[{}]]',
  '{}',
  '{"toString":null,"constructor":1}',
  '{"__proto__":{"polluted":true}}',
  '{"__proto__":"a","id":{"toString":1}}',
] as const;

type Mutation = { readonly at: number; readonly to: (typeof ODD_VALUES)[number] | 'dropped' };

/** Some member, found by its place among all of them, is replaced or dropped. */
function mutate(root: Json, { at, to }: Mutation): Json {
  const places: (readonly [parent: Record<string, Json>, key: string])[] = [];
  const top = { root: structuredClone(root) } as Record<string, Json>;
  const visit = (parent: Record<string, Json>): void => {
    for (const [key, value] of Object.entries(parent)) {
      places.push([parent, key]);
      if (typeof value === 'object' && value !== null) visit(value as Record<string, Json>);
    }
  };
  visit(top);
  const [parent, key] = places[at % places.length] as (typeof places)[number];
  if (to !== 'dropped') parent[key] = parseJsonText(to);
  else if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return top.root ?? null;
}

/** What the ingress would have for this source. */
function payloadOf(name: string, json: Json): Json {
  return name.startsWith('form.') ? { payload: JSON.stringify(json) } : json;
}

for (const vendor of VENDORS) {
  const source = SOURCES[vendor];
  const schemas: Readonly<Record<string, z.ZodType>> = EVENTS[vendor];

  describe(`A payload of ${vendor} with something missing or strange in it`, () => {
    it('is an event that keeps its contract, none for a reason, or a mapping problem that says so', () => {
      const kinds = { event: 0, ignored: 0, problem: 0 };
      const attempt = (name: string, mutations: readonly Mutation[]): void => {
        const json = mutations.reduce(mutate, parseJsonText(fixtureText(vendor, name)));
        const { headers } = deliver(vendor, name, '{}');
        const payload = payloadOf(name, json);
        try {
          const mapped = source.toEvents({ payload, headers, bodyHash: 'b'.repeat(64) });
          if ('ignored' in mapped) {
            kinds.ignored += 1;
            assert.match(mapped.ignored, new RegExp(`^${vendor}: [\\w.:/ -]+$`));
            return;
          }
          for (const record of mapped) {
            if ('failed' in record) {
              kinds.problem += 1;
              assertStated(record.failed);
            } else if ('type' in record) {
              kinds.event += 1;
              assertEvent(record, schemas);
            }
          }
        } catch (error) {
          kinds.problem += 1;
          assertStated(error);
        }
      };
      const mutation = fc.record({
        at: fc.nat(10_000),
        to: fc.constantFrom('dropped' as const, ...ODD_VALUES),
      });
      fc.assert(
        fc.property(
          fc.constantFrom(...fixtureNames(vendor)),
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
          attempt,
        ),
        { numRuns: 5_000 },
      );
      assert.ok(kinds.event > 100 && kinds.problem > 100, JSON.stringify(kinds));
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    }).timeout(60_000);
  });
}

/** Ours, with words for a person: not a TypeError of code that took something for granted. */
function assertStated(error: unknown): void {
  if (error instanceof assert.AssertionError) throw error;
  const isStated =
    error instanceof z.core.$ZodError ||
    TidegateError.is(error, 'malformed_json') ||
    (error as Error).constructor === Error;
  assert.ok(isStated, (error as Error).stack);
}

function assertEvent(event: SourceEvent, schemas: Readonly<Record<string, z.ZodType>>): void {
  const schema = schemas[event.type];
  assert.ok(schema instanceof z.ZodObject, event.type);
  const data: unknown = JSON.parse(JSON.stringify(event.data));
  assert.deepEqual(z.strictObject(schema.shape).parse(data), data);
  for (const name of ['id', 'subject', 'actor', 'causationid'] as const) {
    const value = event[name];
    if (value === undefined) continue;
    assert.ok(value !== '' && value.length <= LIMITS.attributeCharactersMax, name);
    assert.equal(textProblem(value), undefined, name);
    assert.doesNotMatch(value, /undefined|null|\[object|NaN/, name);
  }
  assert.ok(event.subject !== undefined);
  if (event.time !== undefined) assert.equal(canonicalTime(event.time), event.time);
}
