import { maskerOf } from '../../model/mask.ts';
import { markedValues, maskWords } from '../../model/mask-event.ts';
import { type Masking, maskingOf } from '../../model/masking.ts';
import type { Decision, IngressContext } from '../exchange.ts';

/**
 * What is said of an event, without what its contract marks `pii`: schemas, filters, keys and mappings
 * are code of the project and may quote its data. The event itself, and the body that is kept of a
 * refused one, stay as they came.
 */
export function maskDecision(decision: Decision, { catalogue }: IngressContext): Decision {
  const masking = maskingOf(catalogue);
  if (masking === undefined) return decision;
  switch (decision.kind) {
    case 'refused':
      return { ...decision, rejection: maskWords(decision.rejection, masking) };
    case 'journal':
      return { ...decision, entry: maskEntry(decision.entry, masking) };
    case 'ignored':
      return decision;
    default:
      return decision satisfies never;
  }
}

type Entry = Extract<Decision, { kind: 'journal' }>['entry'];

function maskEntry(entry: Entry, masking: Masking): Entry {
  if (entry.held === undefined) return entry;
  const { text } = maskerOf(markedValues(entry.event, masking));
  return {
    ...entry,
    held: entry.held.map((held) => ({ ...held, message: text(held.message) })),
  };
}
