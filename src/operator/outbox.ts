import { callerOf } from '../access/authenticate.ts';
import type { Journal } from '../journal/journal.ts';
import { type Handler, listQuery } from './handler.ts';

/** `GET /outbox`: what the connectors' fakes would have sent, newest first. */
export const listOutbox =
  (journal: Journal): Handler =>
  (request) => {
    const { filter, page } = listQuery(request, ['run']);
    const { tenant } = callerOf(request);
    return journal.listOutbox({ ...filter, ...(tenant !== null && { tenant }) }, page);
  };
