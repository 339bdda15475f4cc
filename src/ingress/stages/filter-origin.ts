import type { TidegateEvent } from '../../model/event.ts';
import { DEFAULT_FUSE, type FlowHead, type Fuse, type Origin } from '../../model/flow-registry.ts';

/** Who made an event, as flows name it. */
export const originOf = ({ origin }: Pick<TidegateEvent, 'origin'>): Origin =>
  origin === 'human' || origin === 'system' ? origin : 'flow';

/** The fuse that an event counts towards: only what flows made does. */
export function fuseOf(
  { fuse = DEFAULT_FUSE }: Pick<FlowHead, 'fuse'>,
  event: Pick<TidegateEvent, 'origin' | 'hops'>,
): Fuse | undefined {
  const isMade = event.hops > 0 || originOf(event) === 'flow';
  return isMade && fuse !== false ? fuse : undefined;
}

/** Why a flow does not take an event of this origin, or undefined when it does. */
export function originProblem(
  { origin: wanted }: Pick<FlowHead, 'origin'>,
  event: Pick<TidegateEvent, 'origin'>,
): string | undefined {
  if (wanted === undefined || wanted.includes(originOf(event))) return undefined;
  return `takes events of origin ${wanted.join(', ')} only, and this is of ${event.origin}`;
}
