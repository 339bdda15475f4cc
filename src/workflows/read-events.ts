import { TidegateError } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { TakenDeliveries } from './collect.ts';
import { activeStep, currentRun } from './run-scope.ts';
import type { Window } from './window.ts';

export interface ReadEventsOptions {
  /** The `next` of the page before. @default the window's beginning */
  readonly after?: number;
  /** Events of a page, 1 to 100. A page ends earlier at 128 KB. @default 100 */
  readonly limit?: number;
}

export interface EventsPage<Event extends TidegateEvent = TidegateEvent> {
  /** In the order in which the window took them; may be none on a page that is not the last. */
  readonly events: readonly Event[];
  /** The next page's `after`; absent on the last page. */
  readonly next?: number;
}

/**
 * Reads a page of a window's events from the journal: all of them are there, also those that the
 * window counted and did not list. Every page that is read is kept in the run's history in
 * Temporal, so read what is needed of a large window, not all of it.
 *
 * @throws TidegateError `option_invalid` for a `limit` beyond 1 to 100.
 * @example
 * ```ts
 * const newest = await readEvents(window, { after: window.deliveries.through - 11, limit: 10 });
 * ```
 */
export async function readEvents<Event extends TidegateEvent>(
  window: Pick<Window<Event>, 'deliveries' | 'first'>,
  options: ReadEventsOptions = {},
): Promise<EventsPage<Event>> {
  const { deliveries } = window;
  const { after = deliveries.from - 1, limit = LIMITS.windowEventsMax } = options;
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= LIMITS.windowEventsMax)) {
    throw invalid(`limit must be a whole number from 1 to ${LIMITS.windowEventsMax}`, limit);
  }
  if (!Number.isSafeInteger(after)) throw invalid('after must be the number of a delivery', after);
  const scope = currentRun('readEvents');
  const page = await activeStep(scope, () =>
    scope.journal.readEvents({
      run: scope.input.run,
      after: Math.max(after, deliveries.from - 1),
      through: deliveries.through,
      limit,
    }),
  );
  const read = page.at(-1)?.number ?? deliveries.through;
  return {
    events: page
      .filter(({ number }) => !isExcepted(deliveries, number))
      .map(({ event }) => event as Event),
    ...(read < deliveries.through ? { next: read } : {}),
  };
}

const isExcepted = ({ except = [] }: TakenDeliveries, number: number): boolean =>
  except.some(([from, through]) => from <= number && number <= through);

const invalid = (problem: string, value: unknown): TidegateError =>
  new TidegateError('option_invalid', `readEvents: ${problem}, got ${JSON.stringify(value)}`);
