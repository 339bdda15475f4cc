import assert from 'node:assert/strict';
import fc from 'fast-check';
import { callsInFlight } from '../../src/dispatch/calls-in-flight.ts';
import { fairQueues, takeTurns } from '../../src/dispatch/fair-queues.ts';
import { createRunQueue, type RunQueue } from '../../src/dispatch/run-queue.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId } from '../../src/model/run.ts';

const queueOf = (tenant: string, key: number): RunQueue =>
  createRunQueue(makeRunId({ flow: 'flow', tenant, key: `k${key}` }), {
    sentThrough: 0,
    inMemory: { deliveries: 0 },
  });
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

  /**
   * A tenant's runs come at any time; calls end in any order, and some of them never do. While a tenant that has
   * less than its share waits, no other one has two turns; none has more than its share; and no place
   * is left empty that somebody may have.
   */
  it('let a single event wait for at most one call of each other tenant, whatever their backlogs', () => {
    const acts = fc.array(
      fc.oneof(
        fc.record({ act: fc.constant('arrive' as const), tenant: fc.nat(4), runs: fc.nat(12) }),
        fc.record({ act: fc.constant('end' as const), which: fc.nat(30), hasMore: fc.boolean() }),
        fc.record({ act: fc.constant('delay' as const), which: fc.nat(30), forTurns: fc.nat(6) }),
      ),
      { minLength: 20, maxLength: 200 },
    );
    fc.assert(
      fc.property(acts, fc.integer({ min: 1, max: 20 }), (schedule, places) => {
        const queues = fairQueues();
        const calls = callsInFlight();
        const inFlight: RunQueue[] = [];
        let key = 0;
        let now = 0;
        /** Of each tenant that has waited since: how many turns each other one has had. */
        const waiting = new Map<string, Map<string, number>>();
        const tenantOf = ({ run }: RunQueue): string => run.split(':')[1] ?? '';
        const isDue = (queue: RunQueue): boolean => !queue.isSending && queue.notBefore <= now;
        const callsOf = (tenant: string): number =>
          inFlight.filter((queue) => tenantOf(queue) === tenant).length;
        const shareOf = (tenant: string): number => {
          const others = inFlight.length - callsOf(tenant);
          return Math.max(1, Math.floor(((places - others) * 7) / 8));
        };
        const noteWaiting = (): void => {
          const due = new Set([...queues.all()].filter(isDue).map(tenantOf));
          const may = new Set([...due].filter((tenant) => callsOf(tenant) < shareOf(tenant)));
          for (const tenant of may) if (!waiting.has(tenant)) waiting.set(tenant, new Map());
          for (const tenant of waiting.keys()) if (!may.has(tenant)) waiting.delete(tenant);
        };
        const pump = (): void => {
          now += 1;
          noteWaiting();
          const { taken } = takeTurns(queues, calls, { now, places });
          for (const queue of taken) {
            const tenant = tenantOf(queue);
            waiting.delete(tenant);
            for (const [other, turns] of waiting) {
              const count = (turns.get(tenant) ?? 0) + 1;
              turns.set(tenant, count);
              assert.ok(count <= 1, `${tenant} had ${count} turns while ${other} waited`);
            }
            queue.isSending = true;
            inFlight.push(queue);
            assert.ok(callsOf(tenant) <= shareOf(tenant), `${tenant} has more than its share`);
            noteWaiting();
          }
          assert.ok(inFlight.length <= places);
          assert.ok(inFlight.length === places || waiting.size === 0, 'a place is left');
        };
        for (const step of schedule) {
          if (step.act === 'arrive') {
            for (let run = 0; run < step.runs; run += 1) {
              key += 1;
              queues.add(queueOf(`tenant-${step.tenant}`, key));
            }
          } else if (step.act === 'delay') {
            const all = [...queues.all()].filter(isDue);
            const queue = all[step.which % Math.max(1, all.length)];
            if (queue !== undefined) queue.notBefore = now + step.forTurns;
          } else {
            const [ended] = inFlight.splice(step.which % Math.max(1, inFlight.length), 1);
            if (ended !== undefined) {
              ended.isSending = false;
              calls.end(ended.run);
              queues.delete(ended.run);
              if (step.hasMore) queues.add(ended);
            }
          }
          pump();
        }
      }),
      { numRuns: 400 },
    );
  });

  it('give every run that is due a turn while a call that never ends has another place', () => {
    const queues = fairQueues();
    const calls = callsInFlight();
    const places = 3;
    const slow = queueOf('a', 0);
    queues.add(slow);
    takeTurns(queues, calls, { now: 0, places });
    slow.isSending = true;
    for (const key of [1, 2, 3]) queues.add(queueOf('a', key));
    const turns: string[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      const { taken } = takeTurns(queues, calls, { now: 0, places });
      for (const { run } of taken) {
        queues.delete(run);
        calls.end(run);
      }
      turns.push(...namesOf(taken));
    }
    assert.deepEqual(turns, ['a:k1', 'a:k2', 'a:k3']);
    assert.deepEqual(takeTurns(queues, calls, { now: 0, places }).taken, []);
  });

  it('leave a place to whoever comes while all calls of one tenant hang, or of two', () => {
    const hanging = (places: number) => {
      const queues = fairQueues();
      const calls = callsInFlight();
      return ['a', 'b', 'c', 'd'].map((tenant) => {
        for (let key = 0; key < 100; key += 1) queues.add(queueOf(tenant, key));
        const { taken } = takeTurns(queues, calls, { now: 0, places });
        for (const queue of taken) queue.isSending = true;
        return taken.length;
      });
    };
    assert.deepEqual(hanging(LIMITS.dispatchConcurrencyMax), [56, 7, 1, 0]);
    assert.deepEqual(hanging(8), [7, 1, 0, 0]);
    assert.deepEqual(hanging(1), [1, 0, 0, 0]);
  });

  it('leave the one place that an outage adds to tenants that have no call under way', () => {
    const calls = callsInFlight();
    const [busy, idle] = [queueOf('busy', 1).run, queueOf('idle', 1).run];
    for (let count = 1; count <= LIMITS.dispatchConcurrencyMax; count += 1) {
      assert.equal(calls.hasShare(busy, calls.all() + 1), count === 1);
      assert.ok(calls.hasShare(idle, calls.all() + 1));
      calls.begin(busy);
    }
  });
});
