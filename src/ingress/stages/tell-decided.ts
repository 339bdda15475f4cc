import type { EventStatus } from '../../model/event.ts';
import type { Decision, IngressContext } from '../exchange.ts';

/** Tells metrics what became of an event. A type that no contract has is not told: anybody can make one up. */
export function tellDecided(
  decision: Decision | undefined,
  status: EventStatus,
  { catalogue, observer }: Pick<IngressContext, 'catalogue' | 'observer'>,
): void {
  if (observer === undefined) return;
  const type = decision && typeOf(decision);
  const isKnown = type !== undefined && Object.hasOwn(catalogue.contracts, type);
  observer.decided(isKnown ? type : undefined, status);
}

function typeOf(decision: Decision): string | undefined {
  switch (decision.kind) {
    case 'journal':
      return decision.entry.event.type;
    case 'refused':
      return decision.rejection.type;
    case 'ignored':
      return undefined;
    default:
      return decision satisfies never;
  }
}
