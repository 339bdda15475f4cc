import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';
import { compareContracts } from '../../src/contracts/compare-contracts.ts';
import {
  type ContractsLock,
  lockOf,
  lockText,
  parseLock,
} from '../../src/contracts/contracts-lock.ts';
import { TidegateError } from '../../src/model/error.ts';

/** The contracts of definitions, through the text of the file that holds them. */
const released = (definitions: unknown): ContractsLock =>
  parseLock(lockText(lockOf(defineEvents(definitions as never))), 'the test');

const NOW = Date.parse('2026-06-01T00:00:00Z');

/** `kind type version aspect` of each change. */
const told = (before: unknown, now: unknown): readonly string[] =>
  compareContracts(released(before), released(now), NOW).map(
    ({ kind, type, version, aspect }) => `${kind} ${type} ${version} ${aspect}`,
  );

const V1 = z.object({ id: z.string(), amount: z.number() });
const V2 = z.object({ id: z.string(), cents: z.int() });
const upcast = { 1: (old: object) => old };

describe('Contracts compared with the released ones', () => {
  it('are the same as themselves', () => {
    const definitions = { 'a.b': { version: 2, data: V2, versions: { 1: V1 }, upcast }, 'c.d': V1 };
    assert.deepEqual(told(definitions, definitions), []);
  });

  it('may get a new type, whatever its name', () => {
    assert.deepEqual(told({ 'a.b': V1 }, { 'a.b': V1, 'c.d': V1 }), ['compatible c.d 1 version']);
    const odd = { 'a.b': V1, constructor: V1 };
    assert.deepEqual(told({ 'a.b': V1 }, odd), ['compatible constructor 1 version']);
    assert.deepEqual(told(odd, { 'a.b': V1 }), ['breaking constructor 1 type']);
  });

  it('may get a new version with an upcast from the one before, whatever its schema', () => {
    const now = { 'a.b': { version: 2, data: V2, versions: { 1: V1 }, upcast, unversioned: 1 } };
    assert.deepEqual(told({ 'a.b': V1 }, now), ['compatible a.b 2 version']);
  });

  it('break for senders that name no version when these are held to another', () => {
    const now = (data: z.ZodType, unversioned: number) => ({
      'a.b': { version: 2, data, versions: { 1: V1 }, upcast, unversioned },
    });
    const aspect = 'a.b 1 version of events without schemaversion';
    assert.deepEqual(told({ 'a.b': V1 }, now(V2, 2)), [
      `breaking ${aspect}`,
      'compatible a.b 2 version',
    ]);
    assert.deepEqual(told(now(V2, 1), now(V2, 2)), [`breaking ${aspect}`]);
    const wider = V1.extend({ note: z.string().optional() });
    assert.deepEqual(told(now(wider, 1), now(wider, 2)), [`compatible ${aspect}`]);
  });

  it('break when a new version has no upcast from the one before', () => {
    const now = { 'a.b': { version: 2, data: V2 } };
    assert.deepEqual(told({ 'a.b': V1 }, now), [
      'breaking a.b 1 version',
      'compatible a.b 2 version',
    ]);
    const [change] = compareContracts(released({ 'a.b': V1 }), released(now), NOW);
    assert.match(String(change?.is), /no upcast from it to version 2/);
  });

  it('break when a type is removed, or a version', () => {
    assert.deepEqual(told({ 'a.b': V1, 'c.d': V1 }, { 'a.b': V1 }), ['breaking c.d 1 type']);
    const two = { 'a.b': { version: 2, data: V2, versions: { 1: V1 }, upcast } };
    assert.deepEqual(told(two, { 'a.b': { version: 2, data: V2 } }), ['breaking a.b 1 version']);
    assert.deepEqual(told(two, { 'a.b': V1 }), ['breaking a.b 2 version']);
  });

  it('may lose a version, or a type, whose released sunset is over', () => {
    const ending = (sunset: string) => ({
      'a.b': {
        version: 2,
        data: V2,
        versions: { 1: V1 },
        upcast,
        deprecated: { 1: { since: '2026-01-01', sunset } },
      },
    });
    const without = { 'a.b': { version: 2, data: V2 } };
    assert.deepEqual(told(ending('2026-06-01'), without), ['compatible a.b 1 version']);
    assert.deepEqual(told(ending('2026-06-02'), without), ['breaking a.b 1 version']);
  });

  it('break when a version changes under its senders, also an old one', () => {
    const narrower = z.object({ id: z.string().max(3), amount: z.number() });
    assert.deepEqual(told({ 'a.b': V1 }, { 'a.b': narrower }), ['breaking a.b 1 maxLength']);
    const now = {
      'a.b': { version: 2, data: V2, versions: { 1: narrower }, upcast, unversioned: 1 },
    };
    assert.deepEqual(told({ 'a.b': V1 }, now), [
      'breaking a.b 1 maxLength',
      'compatible a.b 2 version',
    ]);
  });

  it('do not break readers of an old version, which nobody reads', () => {
    const wider = z.object({ id: z.string().optional(), amount: z.number().nullable() });
    const two = (old: z.ZodType) => ({
      'a.b': { version: 2, data: V2, versions: { 1: old }, upcast },
    });
    assert.deepEqual(told(two(V1), two(wider)), [
      'compatible a.b 1 type',
      'compatible a.b 1 required',
    ]);
    assert.deepEqual(told({ 'a.b': V1 }, { 'a.b': wider }), [
      'breaking a.b 1 type',
      'breaking a.b 1 required',
    ]);
  });

  it('cannot be told when an old version loses its schema, or gets one', () => {
    const withSchema = { 'a.b': { version: 2, data: V2, versions: { 1: V1 }, upcast } };
    const without = { 'a.b': { version: 2, data: V2, upcast } };
    assert.deepEqual(told(withSchema, without), ['unclear a.b 1 schema of its own']);
    assert.deepEqual(told(without, withSchema), ['unclear a.b 1 schema of its own']);
    assert.deepEqual(told(without, without), []);
  });
});

describe('contracts.lock.json', () => {
  it('is the same text whatever the order of definitions and fields', () => {
    const [one, other] = [
      { 'a.b': z.object({ x: z.string().optional(), y: z.number().optional() }), 'c.d': V1 },
      { 'c.d': V1, 'a.b': z.object({ y: z.number().optional(), x: z.string().optional() }) },
    ].map((definitions) => lockText(released(definitions)));
    assert.equal(one, other);
    assert.ok(one?.endsWith('}\n'));
  });

  for (const text of ['', '{', '[]', '{"lockVersion":2,"contracts":{}}', '{"lockVersion":1}']) {
    it(`is refused when it is ${JSON.stringify(text)}, naming where it is from`, () => {
      assert.throws(
        () => parseLock(text, 'the lock of 1a2b'),
        (error) =>
          TidegateError.is(error, 'contracts_lock_invalid') &&
          error.message.startsWith('the lock of 1a2b is not'),
      );
    });
  }
});
