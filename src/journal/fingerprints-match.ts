/**
 * Whether a change that a webhook tells of is the echo of what a connector wrote. The rule, without a
 * clock and without a database.
 *
 * A write stands for the fields that it set, each with its value, and each may come back once: some
 * systems tell of a write in one webhook, some in one for each field, and some of several writes in one.
 * So a change is an echo when every one of its fields has the value that a write gave it, in a write that
 * is open and to which this field has not come back yet. A write may have more fields than the change:
 * what was not different is often not told. A change with one more field, or another value, is no echo.
 */
import { createHash } from 'node:crypto';
import type { ObjectChange } from '../model/change.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';

/** A field with its value, as a hash: the journal keeps no second copy of the values. */
export type FieldHash = string;

/** What a connector wrote to one object, as far as it has not come back. */
export interface OpenWrite {
  readonly seq: number;
  /** The fields that have not come back yet. */
  readonly open: readonly FieldHash[];
  /** The events that were its echoes, by {@link identityHash}. */
  readonly echoes: readonly string[];
  /** When fields no longer come back, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A change that an event tells of. */
export interface ToldChange {
  readonly identity: string;
  readonly fields: readonly FieldHash[];
}

/**
 * The writes that a change echoes, as they are afterwards; undefined when it is no echo. An event that
 * was an echo before is one again, and uses nothing up.
 *
 * @param writes to the object that was changed, the oldest first.
 * @param now milliseconds since 1970.
 */
export function echoed<Write extends OpenWrite>(
  writes: readonly Write[],
  { identity, fields }: ToldChange,
  now: number,
): readonly Write[] | undefined {
  const before = writes.filter(({ echoes }) => echoes.includes(identity));
  if (before.length > 0) return before;
  if (fields.length === 0) return undefined;
  const open = writes.filter(({ expiresAt }) => expiresAt > now);
  const found = fields.map((field) => open.find((write) => write.open.includes(field)));
  if (found.includes(undefined)) return undefined;
  const usedUp = new Set(fields.map((field, index) => `${found[index]?.seq} ${field}`));
  return open
    .filter((write) => found.includes(write))
    .map((write) => ({
      ...write,
      open: write.open.filter((field) => !usedUp.has(`${write.seq} ${field}`)),
      echoes: [...write.echoes, identity],
      // What has not come with the rest was most likely no change: a person may make it one.
      expiresAt: Math.min(write.expiresAt, now + LIMITS.echoRestMs),
    }));
}

/** The fields of a change, each once. */
export const fieldHashes = ({ fields }: Pick<ObjectChange, 'fields'>): readonly FieldHash[] =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => hash([name, canonical(value)]));

/** Which object of which tenant was changed. */
export const objectHash = (
  tenant: string,
  { system, object }: Pick<ObjectChange, 'system' | 'object'>,
): string => hash([tenant, system, object]);

/** Which event it is. */
export const identityHash = (event: {
  readonly tenantid: string;
  readonly source: string;
  readonly id: string;
}): string => hash([event.tenantid, event.source, event.id]);

/** The same text for the same JSON, in whatever order its properties come. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const properties = Object.entries(value)
    .filter(([, property]) => property !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, property]) => `${JSON.stringify(name)}:${canonical(property)}`);
  return `{${properties.join(',')}}`;
}

const hash = (parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
