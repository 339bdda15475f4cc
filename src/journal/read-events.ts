import type { Delivery } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { ReadEventsInput } from '../model/protocol.ts';
import { deliveriesAfter } from './dispatch-queries.ts';
import type { JournalDatabase } from './schema.ts';

/** A page of what has been delivered to a run; empty when nothing is left up to `through`. */
export async function readEvents(
  database: JournalDatabase,
  { run, after, through, limit }: ReadEventsInput,
): Promise<readonly Delivery[]> {
  const deliveries = await deliveriesAfter(database, run, after, {
    count: Math.min(limit, LIMITS.windowEventsMax),
    bytes: LIMITS.windowBytesMax,
  });
  return deliveries.filter(({ number }) => number <= through);
}
