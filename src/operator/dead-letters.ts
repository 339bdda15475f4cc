import type { DeadLetter } from '../journal/dead-letters.ts';
import type { Journal } from '../journal/journal.ts';
import { type Handler, listQuery } from './handler.ts';

export const DEAD_LETTER_KINDS: readonly DeadLetter['kind'][] = [
  'rejected',
  'parked',
  'lost',
  'held',
  'fused',
  'undeliverable',
];

/** `GET /dead-letters`: everything that needs a person, newest first. */
export const listDeadLetters =
  (journal: Journal): Handler =>
  (request) => {
    const { filter, page } = listQuery(request, ['kind', 'tenant', 'flow'], {
      kind: DEAD_LETTER_KINDS,
    });
    return journal.listDeadLetters(page, filter);
  };
