import type { LaneLease } from '../journal/journal.ts';

/**
 * The lanes that a dispatcher gives up, because others are to have them: evenly over all of its own. The
 * idle ones would be easier to give up, but then whoever came first would keep all of the work.
 */
export function surplusLanes({ lanes, share }: LaneLease): readonly number[] {
  const surplus = Math.max(0, lanes.length - share);
  const givenBefore = (index: number): number => Math.floor((index * surplus) / lanes.length);
  return lanes.filter((_lane, index) => givenBefore(index + 1) > givenBefore(index));
}
