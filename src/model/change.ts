import type { Json } from './event.ts';

/** What has changed in an outside system: fields of an object, with the values that they have now. */
export interface ObjectChange {
  /** The outside system, by a name that its source and its connector agree on. */
  readonly system: string;
  /** The object within it, such as `contact/42`. */
  readonly object: string;
  /** The fields that were changed, and no others. Values are compared as JSON: `1` is not `'1'`. */
  readonly fields: Readonly<Record<string, Json>>;
}

/** A change whose system has a default: the name of the source or of the connector. */
export type SaidChange = Omit<ObjectChange, 'system'> & { readonly system?: string };

/** What is wrong with a change that code in JavaScript gave, or undefined when it is one. */
export function changeProblem(change: unknown): string | undefined {
  if (!isObject(change)) return 'is not an object';
  const { system, object, fields } = change as Partial<Record<keyof ObjectChange, unknown>>;
  if (system !== undefined && !isName(system)) return 'has a `system` that is not text';
  if (!isName(object)) return 'has an `object` that is not text';
  return isObject(fields) ? undefined : 'has no `fields`';
}

const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
