import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type PlannedFault, planFor } from './soak/plan.ts';

const seeds = () => fc.tuple(fc.nat(1_000_000), fc.integer({ min: 5, max: 60 }));

describe('a plan of faults', () => {
  it('is the same for the same seed', () => {
    fc.assert(
      fc.property(seeds(), ([seed, seconds]) => {
        assert.deepEqual(planFor(seed, seconds), planFor(seed, seconds));
      }),
      { numRuns: 50 },
    );
  });

  it('has no two faults at a time on one track, and sends one event under one identity', () => {
    fc.assert(
      fc.property(seeds(), ([seed, seconds]) => {
        const { faults, requests } = planFor(seed, seconds);
        const last = new Map<string, PlannedFault>();
        for (const planned of faults) {
          const before = last.get(planned.track);
          assert.ok(before === undefined || before.atMs + before.forMs < planned.atMs);
          last.set(planned.track, planned);
        }
        const known = new Map<string, object>();
        for (const { atMs: _at, ...event } of requests) {
          assert.deepEqual(event, known.get(event.id) ?? event);
          known.set(event.id, event);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('has each kind of fault on each victim sooner or later', () => {
    const kinds = new Set<string>();
    for (let seed = 0; seed < 200; seed += 1) {
      for (const { fault } of planFor(seed, 20).faults) {
        const on = 'on' in fault ? fault.on : '';
        kinds.add([fault.kind, on, 'to' in fault ? fault.to : ''].join(' ').trim());
      }
    }
    const nodes = ['ingress-1', 'ingress-2', 'worker-1', 'worker-2'];
    const ways = ['cut', 'refused', 'hung', 'unanswered', 'slow'].flatMap((kind) =>
      nodes.flatMap((node) => [`${kind} ${node} postgres`, `${kind} ${node} temporal`]),
    );
    const ofNodes = ['kill', 'pause', 'pauseConnection', 'clock'].flatMap((kind) =>
      nodes.map((node) => `${kind} ${node}`),
    );
    const ofBackends = ['kill postgres', 'kill temporal', 'pause temporal', 'backlog'];
    assert.deepEqual([...kinds].sort(), [...ways, ...ofNodes, ...ofBackends].sort());
  });
});
