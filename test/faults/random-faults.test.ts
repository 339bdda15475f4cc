import assert from 'node:assert/strict';
import { describePlan, planFor } from './soak/plan.ts';
import { runSeed } from './soak/run-seed.ts';

const SECONDS = 10;
/** Two of each process, and one of each: there, events are sent again to runs that have ended meanwhile. */
const SEEDS = [138, 19_168] as const;

const kindsOf = (seeds: readonly number[]): readonly string[] => {
  const faults = seeds.flatMap((seed) => planFor(seed, SECONDS).faults);
  return [...new Set(faults.map(({ fault }) => fault.kind))].sort();
};

describe('random faults', () => {
  it('are of every kind in the seeds that are always run', () => {
    const many = Array.from({ length: 200 }, (_, seed) => seed);
    assert.deepEqual(kindsOf(SEEDS), kindsOf(many));
  });

  const random = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const seeds = [...SEEDS, random].map((seed) => ({ seed, inOneProcess: false }));
  for (const { seed, inOneProcess } of [...seeds, { seed: SEEDS[0], inOneProcess: true }]) {
    const where = inOneProcess ? 'two times tidegate serve, ' : '';
    it(`leave every accepted event with one outcome, and every effect done once and in order (${where}seed ${seed})`, async function () {
      this.timeout(480_000);
      console.log(describePlan(planFor(seed, SECONDS)));
      await runSeed(seed, { seconds: SECONDS, inOneProcess });
    });
  }
});
