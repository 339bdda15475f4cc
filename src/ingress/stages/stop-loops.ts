import { LIMITS } from '../../model/limits.ts';
import type { Decision, Passing } from '../exchange.ts';

/** Ends a story that has passed through too many flows: most likely two flows cause each other. */
export function stopLoops(passing: Passing): Passing | Decision {
  const { event } = passing;
  if (event.hops <= LIMITS.hopsMax) return passing;
  return {
    kind: 'journal',
    entry: {
      event,
      status: 'looped',
      reason: `too_many_hops: it has passed through ${event.hops} flows; at most ${LIMITS.hopsMax} are allowed`,
      deliveries: [],
    },
  };
}
