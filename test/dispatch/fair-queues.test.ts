import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fairQueues } from '../../src/dispatch/fair-queues.ts';
import { createRunQueue, type RunQueue } from '../../src/dispatch/run-queue.ts';
import { makeRunId } from '../../src/model/run.ts';

const queueOf = (tenant: string, key: number): RunQueue =>
  createRunQueue(makeRunId({ flow: 'flow', tenant, key: `k${key}` }), 0);
const namesOf = (queues: Iterable<RunQueue>): readonly string[] =>
  [...queues].map(({ run }) => run.replace('flow:', ''));

const backlogs = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(8), {
  noNullPrototype: true,
});

describe('fair queues', () => {
  it('give each tenant a turn, then each a second', () => {
    const queues = fairQueues();
    for (const key of [1, 2, 3]) queues.add(queueOf('a', key));
    queues.add(queueOf('b', 1));
    for (const key of [1, 2]) queues.add(queueOf('c', key));
    assert.deepEqual(namesOf(queues.turns()), ['a:k1', 'b:k1', 'c:k1', 'a:k2', 'c:k2', 'a:k3']);
  });

  it('hold every run once, whatever is added twice and taken out', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom('a', 'b'), fc.nat(3), fc.constantFrom('add', 'delete', 'serve')),
        ),
        (acts) => {
          const queues = fairQueues();
          const model = new Map<string, RunQueue>();
          for (const [tenant, key, act] of acts) {
            const queue = model.get(`${tenant}${key}`) ?? queueOf(tenant, key);
            if (act === 'add') {
              queues.add(queue);
              model.set(`${tenant}${key}`, queue);
            } else if (act === 'delete') {
              queues.delete(queue.run);
              model.delete(`${tenant}${key}`);
            } else queues.served(queue);
            const runs = [...model.values()].map(({ run }) => run).sort();
            assert.deepEqual([...queues.turns()].map(({ run }) => run).sort(), runs);
            assert.deepEqual([...queues.all()].map(({ run }) => run).sort(), runs);
            for (const { run } of model.values()) assert.ok(queues.has(run));
          }
        },
      ),
    );
  });

  /** The invariant of fairness: between two turns of a tenant, no other one has more than one. */
  it('let no tenant have a second turn while another that waits has had none', () => {
    fc.assert(
      fc.property(backlogs, fc.integer({ min: 1, max: 3 }), (backlog, atOnce) => {
        const queues = fairQueues();
        for (const [tenant, runs] of Object.entries(backlog)) {
          for (let key = 0; key < runs; key += 1) queues.add(queueOf(tenant, key));
        }
        const turns: string[] = [];
        const left = () => new Set([...queues.all()].map(({ run }) => run.split(':')[1]));
        while (left().size > 0) {
          // As the dispatcher does: as many as may be in flight, then the others' turn.
          const taken: RunQueue[] = [];
          for (const queue of queues.turns()) {
            if (taken.length >= atOnce) break;
            taken.push(queue);
          }
          for (const queue of taken) {
            turns.push(queue.run.split(':')[1] ?? '');
            queues.served(queue);
            queues.delete(queue.run);
          }
        }
        const waiting = { ...backlog };
        const counts = new Map<string, number>();
        for (const tenant of turns) {
          counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
          waiting[tenant] = (waiting[tenant] ?? 0) - 1;
          for (const [other, runs] of Object.entries(waiting)) {
            if (runs <= 0) continue;
            const ahead = (counts.get(tenant) ?? 0) - (counts.get(other) ?? 0);
            assert.ok(ahead <= 1, `${tenant} is ${ahead} turns ahead of ${other}: ${turns}`);
          }
        }
      }),
    );
  });
});
