/**
 * What contracts mark `pii` in the events of a run, so that what the run shows of itself in Temporal has
 * a mask there. Nothing of this reaches a history: it may differ from replay to replay.
 */
import type { Delivery, Json } from '../model/event.ts';
import { maskerOf, valuesAt } from '../model/mask.ts';
import type { RunInput } from '../model/protocol.ts';

export interface MarkedValues {
  /** Takes note of events that have come. */
  note(deliveries: readonly Delivery[]): void;
  /** A text without them. */
  mask(text: string): string;
}

/** Of more, the oldest are forgotten. */
const VALUES_MAX = 1_000;

export function createMarkedValues({ marked, carried }: RunInput): MarkedValues {
  const values = new Set<string>();
  let masker = maskerOf(values);
  const note = (deliveries: readonly Delivery[]): void => {
    if (marked === undefined) return;
    const before = values.size;
    for (const { event } of deliveries) {
      const paths = Object.hasOwn(marked, event.type) ? (marked[event.type] ?? []) : [];
      for (const value of valuesAt((event.data ?? null) as Json, paths)) values.add(value);
    }
    for (const value of values) {
      if (values.size <= VALUES_MAX) break;
      values.delete(value);
    }
    if (values.size !== before || values.size === VALUES_MAX) masker = maskerOf(values);
  };
  note(carried?.inbox ?? []);
  if (carried?.window !== undefined) note([carried.window.first]);
  return { note, mask: (text) => masker.text(text) };
}
