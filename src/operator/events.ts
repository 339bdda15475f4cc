import type { Journal } from '../journal/journal.ts';
import { TidegateError } from '../model/error.ts';
import { EVENT_STATUSES } from '../model/event.ts';
import { type Handler, listQuery, pathParameter } from './handler.ts';

const STATUSES = EVENT_STATUSES.filter((status) => status !== 'duplicate' && status !== 'rejected');

/** `GET /events`: journalled events with their deliveries, newest first. */
export const listEvents =
  (journal: Journal): Handler =>
  (request) => {
    const { filter, page } = listQuery(
      request,
      ['tenant', 'type', 'source', 'status', 'correlationId'],
      { status: STATUSES },
    );
    return journal.listEvents(filter, page);
  };

/** `GET /events/:id`: an id is unique within tenant and source only, so there can be several rows. */
export const showEvent =
  (journal: Journal): Handler =>
  async (request) => {
    const { filter } = listQuery(request, ['tenant', 'source']);
    const id = pathParameter(request, 'id');
    const found = await journal.findEvents(filter.tenant, id);
    const rows = found.filter(
      ({ event }) => filter.source === undefined || event.source === filter.source,
    );
    if (rows.length === 0) {
      throw new TidegateError(
        'event_not_found',
        `The journal has no event ${id}; a refused one is listed at /api/v1/dead-letters.`,
      );
    }
    return { rows };
  };
