/** What has changed between two JSON Schemas of one version, and for whom that breaks something. */
import type { JsonSchema } from '../model/contract.ts';
import { type Difference, differences } from './schema-inclusion.ts';
import { canonicalText } from './schema-shapes.ts';

export type Affected = 'senders' | 'readers';

export interface SchemaChange {
  /** `unclear`: the rules cannot tell, so it is to be treated as breaking. */
  readonly kind: 'breaking' | 'unclear' | 'compatible';
  /** Senders: what they send may be refused. Readers: they may meet what they do not know. */
  readonly affects: readonly Affected[];
  /** Where in the data, such as `lines[].sku`; empty for the data itself. */
  readonly path: string;
  /** The JSON Schema keyword, or the words for what has changed. */
  readonly aspect: string;
  readonly was: unknown;
  readonly is: unknown;
}

/**
 * Every change from one schema to the other. Without a change of kind `breaking` or `unclear`, whatever
 * the old schema takes the new one takes too, but for fields that only the new one names: what senders
 * put into those before was their own.
 *
 * @param readers whether anybody reads data of this version: flows see the current one only.
 */
export function compareSchemas(
  old: JsonSchema,
  now: JsonSchema,
  readers: 'has readers' | 'has no readers',
): readonly SchemaChange[] {
  const sent = differences(old, now, { compare: 'documents' }).map(forSenders);
  const read =
    readers === 'has readers' ? differences(now, old, { compare: 'types' }).map(forReaders) : [];
  const breaking = merged([...sent, ...read]);
  const wider = differences(now, old, { compare: 'documents' })
    .map(asWider)
    .filter((change) => !breaking.some((other) => nameOf(other) === nameOf(change)));
  return [...breaking, ...merged(wider)];
}

const forSenders = ({ weight, path, aspect, sub, sup }: Difference): SchemaChange => ({
  kind: weight === 'named' ? 'compatible' : weight === 'unclear' ? 'unclear' : 'breaking',
  affects: ['senders'],
  path,
  aspect,
  was: sub,
  is: sup,
});

/** A reader of what is written now with the eyes of before: what it no longer finds breaks it. */
const forReaders = ({ weight, path, aspect, sub, sup }: Difference): SchemaChange => ({
  kind: weight === 'unclear' ? 'unclear' : 'breaking',
  affects: ['readers'],
  path,
  aspect,
  was: sup,
  is: sub,
});

const asWider = ({ path, aspect, sub, sup }: Difference): SchemaChange => ({
  kind: 'compatible',
  affects: ['senders'],
  path,
  aspect,
  was: sup,
  is: sub,
});

const nameOf = ({ path, aspect }: SchemaChange): string => JSON.stringify([path, aspect]);

/** One change of one thing, with all that it affects. */
function merged(changes: readonly SchemaChange[]): readonly SchemaChange[] {
  const found = new Map<string, SchemaChange>();
  for (const change of changes) {
    const name = nameOf(change) + canonicalText([change.was, change.is]);
    const earlier = found.get(name);
    if (earlier === undefined) found.set(name, change);
    else {
      const affects = [...new Set([...earlier.affects, ...change.affects])];
      const graver = KINDS.indexOf(earlier.kind) <= KINDS.indexOf(change.kind) ? earlier : change;
      found.set(name, { ...graver, affects });
    }
  }
  return [...found.values()];
}

const KINDS = ['breaking', 'unclear', 'compatible'];
