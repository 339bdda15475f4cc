import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  canonical,
  echoed,
  type FieldHash,
  fieldHashes,
  identityHash,
  type OpenWrite,
  objectHash,
} from '../../src/journal/fingerprints-match.ts';
import type { Json } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';

const ECHO_MS = 60_000;

/** One thing that happens to one object; `writes` are numbered in the order in which they come. */
type Step =
  | { readonly kind: 'write'; readonly fields: readonly number[] }
  | {
      readonly kind: 'echo';
      readonly write: number;
      /** All that the write set comes back in one webhook, or a field in each, or one field alone. */
      readonly parts: 'whole' | 'each' | 'first';
      readonly times: number;
    }
  | { readonly kind: 'edit'; readonly fields: readonly number[] }
  | { readonly kind: 'pass'; readonly ms: number };

const someFields = fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), fields: someFields }),
  fc.record({
    kind: fc.constant('echo' as const),
    write: fc.nat(20),
    parts: fc.constantFrom('whole' as const, 'each' as const, 'first' as const),
    times: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('edit' as const), fields: someFields }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(ECHO_MS) }),
);

/** A system, and what the rule says of each webhook; echoes come late, twice, out of order, in parts. */
function play(steps: readonly Step[]) {
  let now = 1_000_000;
  let events = 0;
  let writes: readonly OpenWrite[] = [];
  const values: (readonly { readonly name: string; readonly value: string }[])[] = [];
  const openUntil: number[] = [];
  /** Fields of a write that have come back, by the model: not by the code under test. */
  const cameBack: Set<string>[] = [];
  const passedEdits: boolean[] = [];
  const echoes: { readonly expected: boolean; readonly got: boolean; readonly again: boolean }[] =
    [];

  const tell = (fields: readonly { readonly name: string; readonly value: string }[]) => {
    events += 1;
    const identity = `event-${events}`;
    const hashes = fieldHashes({
      fields: Object.fromEntries(fields.map(({ name, value }) => [name, value])),
    });
    const ask = (): boolean => {
      const claimed = echoed(writes, { identity, fields: hashes }, now);
      if (claimed === undefined) return false;
      const after = new Map(claimed.map((write) => [write.seq, write]));
      writes = writes.map((write) => after.get(write.seq) ?? write);
      return true;
    };
    const first = ask();
    const left = writes.map(({ open }) => open.length);
    const again = ask();
    assert.deepEqual(
      writes.map(({ open }) => open.length),
      left,
      'the same event again used something up',
    );
    return { first, again };
  };

  for (const next of steps) {
    switch (next.kind) {
      case 'pass':
        now += next.ms;
        break;
      case 'write': {
        const seq = values.length;
        const fields = next.fields.map((name) => ({ name: `f${name}`, value: `write ${seq}` }));
        values.push(fields);
        cameBack.push(new Set());
        openUntil.push(now + ECHO_MS);
        const open = fieldHashes({
          fields: Object.fromEntries(fields.map(({ name, value }) => [name, value])),
        });
        writes = [...writes, { seq, open, echoes: [], expiresAt: now + ECHO_MS }];
        break;
      }
      case 'edit': {
        const value = `edit ${events}`;
        passedEdits.push(!tell(next.fields.map((name) => ({ name: `f${name}`, value }))).first);
        break;
      }
      case 'echo': {
        const seq = next.write % Math.max(1, values.length);
        const fields = values[seq];
        const back = cameBack[seq];
        if (fields === undefined || back === undefined) break;
        const each = fields.map((field) => [field]);
        const parts = { whole: [fields], each, first: each.slice(0, 1) }[next.parts];
        for (const part of Array.from({ length: next.times }, () => parts).flat()) {
          const isOpen = now < (openUntil[seq] ?? 0);
          const expected = isOpen && part.every(({ name }) => !back.has(name));
          const { first: got, again } = tell(part);
          if (expected) {
            for (const { name } of part) back.add(name);
            openUntil[seq] = Math.min(openUntil[seq] ?? 0, now + LIMITS.echoRestMs);
          }
          echoes.push({ expected, got, again });
        }
        break;
      }
      default:
        next satisfies never;
    }
  }
  return { passedEdits, echoes };
}

describe('echoes of our writes', () => {
  const stories = fc.array(step, { maxLength: 60 });

  it('let every edit of a person pass, in whatever order webhooks come', () => {
    fc.assert(
      fc.property(stories, (steps) => {
        assert.ok(play(steps).passedEdits.every(Boolean));
      }),
      { numRuns: 500 },
    );
  });

  it('are known within their time, each field of a write once', () => {
    fc.assert(
      fc.property(stories, (steps) => {
        for (const { expected, got } of play(steps).echoes) assert.equal(got, expected);
      }),
      { numRuns: 500 },
    );
  });

  it('get the same answer again', () => {
    fc.assert(
      fc.property(stories, (steps) => {
        for (const { got, again } of play(steps).echoes) assert.equal(again, got);
      }),
      { numRuns: 200 },
    );
  });

  it('may come together: one webhook of two writes uses up both', () => {
    const [name = '', phone = ''] = fieldHashes({ fields: { name: 'Ada', phone: '1' } });
    const writes = [open(1, [name]), open(2, [phone])];
    const claimed = echoed(writes, { identity: 'e', fields: [name, phone] }, 0);
    assert.deepEqual(
      claimed?.map((write) => write.open),
      [[], []],
    );
    assert.equal(echoed(claimed ?? [], { identity: 'a person', fields: [name] }, 0), undefined);
  });

  it('are none with a field more, or with nothing', () => {
    const [name = '', phone = ''] = fieldHashes({ fields: { name: 'Ada', phone: '1' } });
    assert.equal(echoed([open(1, [name])], { identity: 'e', fields: [name, phone] }, 0), undefined);
    assert.equal(echoed([open(1, [name])], { identity: 'e', fields: [] }, 0), undefined);
  });
});

describe('the hash of a change', () => {
  it('is the same however properties are ordered, at any depth, and of no two different values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        assert.equal(canonical(one as Json), canonical(shuffled(one) as Json));
        const isSame = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        assert.equal(canonical(one as Json) === canonical(other as Json), isSame);
      }),
    );
  });

  it('parts names and values: no two fields, objects or events share one by where a text ends', () => {
    const fields: [Record<string, Json>, Record<string, Json>][] = [
      [{ ab: 'c' }, { a: 'bc' }],
      [{ a: 1 }, { a: '1' }],
      [{ a: null }, { a: 'null' }],
      [{ a: ['b', 'c'] }, { a: 'b,c' }],
    ];
    for (const [one, other] of fields) {
      assert.notDeepEqual(fieldHashes({ fields: one }), fieldHashes({ fields: other }));
    }
    assert.notEqual(
      objectHash('t', { system: 'crm', object: 'a' }),
      objectHash('t', { system: 'cr', object: 'ma' }),
    );
    assert.notEqual(
      identityHash({ tenantid: 't', source: 'crm', id: '1' }),
      identityHash({ tenantid: 't', source: 'crm1', id: '' }),
    );
  });

  it('takes a field named __proto__ for a field', () => {
    const fields = JSON.parse('{"__proto__":"x"}') as Record<string, Json>;
    assert.equal(fieldHashes({ fields }).length, 1);
  });
});

const open = (seq: number, fields: readonly FieldHash[]): OpenWrite => ({
  seq,
  open: fields,
  echoes: [],
  expiresAt: 1,
});

const entriesOf = (value: object) => Object.entries(value) as [string, unknown][];

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    entriesOf(value)
      .reverse()
      .map(([name, each]) => [name, shuffled(each)]),
  );
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = entriesOf(value).sort(([one], [other]) => (one < other ? -1 : 1));
  // Not the entries alone: an empty object would look like an empty list.
  return { entries: entries.map(([name, each]) => [name, sorted(each)]) };
}
