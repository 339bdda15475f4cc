import type { Journal } from '../journal/journal.ts';
import { type Handler, listQuery } from './handler.ts';

/** `GET /dead-letters`: everything that needs a person, newest first. */
export const listDeadLetters =
  (journal: Journal): Handler =>
  (request) =>
    journal.listDeadLetters(listQuery(request, []).page);
