import type { Request } from 'express';
import { z } from 'zod';
import { callerOf } from '../access/authenticate.ts';
import { maySee } from '../access/caller.ts';
import type { Again } from '../journal/again.ts';
import type { NumberedDelivery } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { runLane } from '../journal/lanes.ts';
import type { EventRow } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { actOf, Reason } from './actor.ts';
import { type Handler, listQuery, pathParameter } from './handler.ts';

export interface DeliverContext {
  readonly journal: Pick<Journal, 'findEvents' | 'redelivery' | 'wake'>;
  readonly again: Again;
}

/** What came of it: each flow is in one of the two lists. */
export interface DeliverResult {
  readonly deliveries: readonly Pick<NumberedDelivery, 'flow' | 'key' | 'run' | 'number'>[];
  /** The flows that had the event before, and were not given it again. */
  readonly already: readonly string[];
}

/** The body, for the handler and for the OpenAPI document. */
export const DeliverBody = z.strictObject({
  reason: Reason,
  flows: z
    .array(z.string().min(1).max(LIMITS.attributeCharactersMax), {
      error: 'must be a list of the flows that are to get the event',
    })
    .min(1, 'must name a flow')
    .max(LIMITS.forcedFlowsMax, `must name at most ${LIMITS.forcedFlowsMax} flows`),
});

/**
 * `POST /events/:id/deliver`: sends an event that was filtered, unrouted, looped or an echo to flows
 * all the same. A flow that had it before is not given it again, so a repeated request is harmless.
 */
export const deliverEvent =
  ({ journal, again }: DeliverContext): Handler =>
  async (request): Promise<DeliverResult> => {
    const { act, body } = actOf(request, DeliverBody);
    const { event, erasedAt } = await findEvent(journal, request);
    if (erasedAt !== undefined) {
      throw new TidegateError(
        'not_retriable',
        `The data of the event ${event.id} was erased at ${erasedAt}, because its time was over.`,
      );
    }
    const flows = [...new Set(body.flows)];
    const targets = flows.map((flow) => again.target(flow, event));
    const deliveries = await journal.redelivery.deliverEvent(event, targets, act);
    await journal.wake([...new Set(deliveries.map(({ run }) => runLane(run)))]);
    const given = new Set(deliveries.map(({ flow }) => flow));
    return {
      deliveries: deliveries.map(({ flow, key, run, number }) => ({ flow, key, run, number })),
      already: flows.filter((flow) => !given.has(flow)),
    };
  };

/**
 * The one event that the request means.
 *
 * @throws TidegateError `event_not_found` · `query_invalid` when there are several
 */
export async function findEvent(
  journal: Pick<Journal, 'findEvents'>,
  request: Request,
): Promise<EventRow> {
  const { filter } = listQuery(request, ['tenant', 'source']);
  const id = pathParameter(request, 'id');
  const found = (await journal.findEvents(filter.tenant, id)).filter(
    ({ event }) =>
      (filter.source === undefined || event.source === filter.source) &&
      maySee(callerOf(request), event.tenantid),
  );
  const [row, ...others] = found;
  if (row === undefined) {
    throw new TidegateError('event_not_found', `The journal has no event ${id}.`);
  }
  if (others.length === 0) return row;
  throw new TidegateError(
    'query_invalid',
    `${found.length} events have the id ${id}: say which by ?tenant= and ?source=.`,
  );
}
