import assert from 'node:assert/strict';
import fc from 'fast-check';
import { heldLanes } from '../../src/dispatch/held-lanes.ts';
import { LANES } from '../../src/journal/journal.ts';
import { runLane } from '../../src/journal/lanes.ts';
import { makeRunId } from '../../src/model/run.ts';

const runs = Array.from({ length: 20 }, (_, key) =>
  makeRunId({ flow: 'flow', tenant: 'default', key: `k${key}` }),
);
const rounds = fc.array(
  fc.record({
    /** How many dispatchers share the lanes. */
    dispatchers: fc.integer({ min: 1, max: 4 }),
    sending: fc.subarray(runs),
  }),
  { minLength: 1, maxLength: 10 },
);

/** A journal with one holder in it, and the order of what it was asked. */
function lanesOf(dispatchersNow: () => number) {
  const leased = new Set<number>();
  const acts: string[] = [];
  const lanes = heldLanes({
    holder: 'test',
    journal: {
      async leaseLanes() {
        acts.push('lease');
        const share = Math.ceil(LANES / dispatchersNow());
        for (let lane = 0; lane < LANES && leased.size < share; lane += 1) leased.add(lane);
        return { lanes: [...leased].sort((a, b) => a - b), share };
      },
      async releaseLanes(_holder, given = [...leased]) {
        acts.push('release');
        for (const lane of given) leased.delete(lane);
      },
    },
    async beforeRelease() {
      acts.push('note');
    },
  });
  return { lanes, leased, acts };
}

describe('the lanes of a dispatcher', () => {
  /** The invariant: a lane in which a call is in flight is not given up, and a lane that was given up not held. */
  it('are its share of them, and go to others when nothing of them is in flight', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, async (schedule) => {
        let dispatchers = 1;
        let now = 0;
        const { lanes, leased } = lanesOf(() => dispatchers);
        for (const round of schedule) {
          dispatchers = round.dispatchers;
          now += 3_000;
          assert.equal(await lanes.renew(now), true);
          const before = new Set(leased);
          const inUse = new Set(round.sending.map(runLane));
          await lanes.giveUp(round.sending.map((run) => ({ run })));
          assert.equal(lanes.all().length, Math.min(before.size, Math.ceil(LANES / dispatchers)));
          for (const lane of before) {
            assert.equal(leased.has(lane), lanes.has(lane) || inUse.has(lane));
          }
        }
        await lanes.giveUp([]);
        assert.deepEqual([...leased].sort(), [...lanes.all()].sort());
      }),
    );
  });

  it('are given up after what was sent is noted, and renewed when a fifth of the lease is over', async () => {
    let dispatchers = 1;
    const { lanes, acts, leased } = lanesOf(() => dispatchers);
    assert.equal(await lanes.renew(0), true);
    assert.equal(await lanes.renew(2_000), false);
    await lanes.giveUp([]);
    dispatchers = 2;
    assert.equal(await lanes.renew(2_001), true);
    await lanes.giveUp([]);
    await lanes.release();
    assert.deepEqual(acts, ['lease', 'lease', 'note', 'release', 'note', 'release']);
    assert.equal(leased.size, 0);
  });
});
