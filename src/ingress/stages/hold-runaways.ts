import type { AppendEntry, NumberedDelivery } from '../../journal/deliveries.ts';
import type { FuseCheck } from '../../journal/journal.ts';
import type { AppendedDelivery, IngressContext } from '../exchange.ts';

/** A delivery that has been committed, with the entry that asked for it. */
export interface FreshDelivery {
  readonly entry: AppendEntry;
  readonly target: NumberedDelivery;
}

/**
 * Trips the fuse of runs that flows have given too much, and keeps these deliveries from the dispatcher:
 * they are in the journal, and go on when an operator resets the fuse. A run that has never had as many
 * deliveries as its fuse allows is not asked about.
 */
export async function holdRunaways(
  fresh: readonly FreshDelivery[],
  { journal }: Pick<IngressContext, 'journal'>,
): Promise<readonly AppendedDelivery[]> {
  const checks = fresh.flatMap(({ entry: { event, deliveries }, target }): FuseCheck[] => {
    const fuse = deliveries.find(({ run }) => run === target.run)?.fuse;
    return fuse === undefined || target.number <= fuse.limit
      ? []
      : [{ run: target.run, fuse, event }];
  });
  const tripped = checks.length === 0 ? new Set() : await journal.tripFuses(checks);
  return fresh.flatMap(({ entry, target }) =>
    tripped.has(target.run) ? [] : [{ target, event: entry.event }],
  );
}
