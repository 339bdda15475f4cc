import assert from 'node:assert/strict';
import fc from 'fast-check';
import { surplusLanes } from '../../src/dispatch/lane-shares.ts';

describe('the lanes that a dispatcher gives up', () => {
  it('are as many as it has above its share, of its own, each once', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(63), { maxLength: 64 }),
        fc.integer({ min: 1, max: 64 }),
        (lanes, share) => {
          const given = surplusLanes({ lanes, share });
          assert.equal(given.length, Math.max(0, lanes.length - share));
          assert.equal(new Set(given).size, given.length);
          for (const lane of given) assert.ok(lanes.includes(lane));
        },
      ),
    );
  });

  it('are spread over all that it has', () => {
    const lanes = Array.from({ length: 64 }, (_, lane) => lane);
    const given = surplusLanes({ lanes, share: 32 });
    for (let lane = 0; lane < 64; lane += 2) {
      assert.equal(given.filter((each) => each === lane || each === lane + 1).length, 1);
    }
  });
});
