import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { EventRow, Paged } from '../../src/journal/rows.ts';
import type { FlowHead } from '../../src/model/flow-registry.ts';
import type { RetryResult } from '../../src/operator/retry-dead-letter.ts';
import { type FrontDoor, openFrontDoor } from '../operator/fixtures/changing-flows.ts';

const on = ['thing.seen'];
type Behaviour = 'wants' | 'does not want' | (typeof FAILURES)[number];
const FAILURES = [
  'where throws',
  'where is no boolean',
  'key throws',
  'key is empty',
  'throttle.by throws',
  'concurrency.by is no string',
] as const;

const fail = (): never => {
  throw new Error('cannot tell');
};

function head(behaviour: Behaviour): FlowHead {
  switch (behaviour) {
    case 'wants':
      return { on, where: () => true };
    case 'does not want':
      return { on, where: () => false };
    case 'where throws':
      return { on, where: fail };
    case 'where is no boolean':
      return { on, where: () => 'yes' as never };
    case 'key throws':
      return { on, key: fail };
    case 'key is empty':
      return { on, key: () => '' };
    case 'throttle.by throws':
      return { on, throttle: { limit: 5, perMs: 1_000, by: fail } };
    case 'concurrency.by is no string':
      return { on, concurrency: { limit: 5, by: () => 5 as never } };
    default:
      return behaviour satisfies never;
  }
}

const behaviour = fc.constantFrom<Behaviour>('wants', 'does not want', ...FAILURES);
const mended = fc.constantFrom<Behaviour>('wants', 'does not want');
const flows = fc.dictionary(
  fc.constantFrom('one', 'two', 'three', 'four', 'five'),
  fc.record({ first: behaviour, later: mended }),
  { minKeys: 1 },
);

describe('every event and flow that takes it', () => {
  let door: FrontDoor;
  let count = 0;
  before(async function () {
    this.timeout(60_000);
    door = await openFrontDoor();
  });
  after(() => door?.stop());

  const rowOf = async (id: string): Promise<EventRow> => {
    const [row] = await door.journal.findEvents(undefined, id);
    assert.ok(row !== undefined, 'an event is never lost');
    return row;
  };
  const fates = (row: EventRow, flow: string) => ({
    delivered: row.deliveries.filter((delivery) => delivery.flow === flow).length,
    held: (row.held ?? []).filter((each) => each.flow === flow && each.closed === undefined).length,
  });
  /** Retries until a round closes nothing; the order is whatever the list gives. */
  async function retryAll(ids: readonly string[]): Promise<void> {
    const { body } = await door.server.call<Paged<DeadLetter>>('/dead-letters?kind=held&limit=500');
    for (const letter of body.rows) {
      if (letter.kind !== 'held' || !ids.includes(letter.event.id)) continue;
      await door.server.call<RetryResult>(`/dead-letters/${letter.deadLetter}/retry`, {
        body: { reason: 'mended' },
      });
    }
  }

  it('are exactly one of delivered, filtered and held; after mending and a retry, delivered or filtered', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(flows, fc.integer({ min: 1, max: 3 }), async (chosen, events) => {
        const entries = Object.entries(chosen);
        const project = (stage: 'first' | 'later') =>
          Object.fromEntries(entries.map(([name, each]) => [name, head(each[stage])]));
        door.restart({ flows: project('first') });
        const ids: string[] = [];
        for (let n = 0; n < events; n += 1) {
          count += 1;
          ids.push(`e-${count}`);
          const result = await door.send({ id: `e-${count}` }, {});
          const isTaken = entries.some(([, { first }]) => first !== 'does not want');
          assert.equal(result.status, isTaken ? 'accepted' : 'filtered');
        }
        for (const id of ids) {
          const row = await rowOf(id);
          for (const [flow, { first }] of entries) {
            const expected = {
              delivered: first === 'wants' ? 1 : 0,
              held: isFailure(first) ? 1 : 0,
            };
            assert.deepEqual(fates(row, flow), expected, `${flow}: ${first}`);
          }
        }
        // What is not mended is held on to, and nothing of it is delivered.
        await retryAll(ids);
        door.restart({ flows: project('later') });
        await retryAll(ids);
        await retryAll(ids);
        for (const id of ids) {
          const row = await rowOf(id);
          for (const [flow, { first, later }] of entries) {
            const decided = isFailure(first) ? later : first;
            const expected = { delivered: decided === 'wants' ? 1 : 0, held: 0 };
            assert.deepEqual(fates(row, flow), expected, `${flow}: ${first}, then ${later}`);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

const isFailure = (behaviour: Behaviour): boolean =>
  FAILURES.some((failure) => failure === behaviour);
