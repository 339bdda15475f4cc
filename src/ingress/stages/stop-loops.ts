import type { AppendEntry } from '../../journal/deliveries.ts';
import { chainText, goesInCircles, runName } from '../../model/chain.ts';
import { LIMITS } from '../../model/limits.ts';
import type { RunId } from '../../model/run.ts';
import type { Decision, IngressContext, Passing } from '../exchange.ts';

/** Ends a story that has passed through too many flows: most likely two flows cause each other. */
export async function stopLoops(
  passing: Passing,
  { journal }: Pick<IngressContext, 'journal'>,
): Promise<Passing | Decision> {
  const { event } = passing;
  if (event.hops <= LIMITS.hopsMax) return passing;
  const chain = await journal.ancestorsOf(event);
  const by = chain.length === 0 ? '' : `: ${chainText(chain)}`;
  return {
    kind: 'journal',
    entry: {
      event,
      status: 'looped',
      reason: `too_many_hops: it has passed through ${event.hops} flows; at most ${LIMITS.hopsMax} are allowed${by}`,
      deliveries: [],
    },
  };
}

/**
 * Takes from an event the deliveries to runs that its story has been at as often as it may. Two flows may
 * ask and answer a few times; a story that comes back to the same run again and again goes in a circle. An
 * event that has passed through fewer flows cannot have, so it costs nothing.
 */
export async function stopCircles(
  decision: Decision,
  { journal }: Pick<IngressContext, 'journal'>,
): Promise<Decision> {
  if (decision.kind !== 'journal') return decision;
  const { event, deliveries } = decision.entry;
  if (event.hops < LIMITS.runVisitsMax || deliveries.length === 0) return decision;
  const ancestors = await journal.ancestorsOf(event);
  const circles = deliveries.filter(({ run }) => goesInCircles(ancestors, run));
  if (circles.length === 0) return decision;
  return { ...decision, entry: without(decision.entry, ancestors, circles) };
}

function without(
  entry: AppendEntry,
  ancestors: readonly RunId[],
  circles: AppendEntry['deliveries'],
): AppendEntry {
  const deliveries = entry.deliveries.filter((delivery) => !circles.includes(delivery));
  const chains = circles.map(({ run }) => chainText([...ancestors, run]));
  const names = circles.map(({ run }) => runName(run)).join(', ');
  const why = `runs_in_circles: it is not given to ${names}, which its story has been at ${LIMITS.runVisitsMax} times: ${chains.join('; ')}`;
  return {
    ...entry,
    // What a flow of it could not decide is still for a person.
    status: deliveries.length === 0 && entry.held === undefined ? 'looped' : entry.status,
    reason: entry.reason === undefined ? why : `${why}; ${entry.reason}`,
    deliveries,
  };
}
