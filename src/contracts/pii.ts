import type { core, z } from 'zod';
import { partsOf, type SchemaPart } from './schema-rules.ts';

/**
 * Where in the data fields are marked `.meta({ pii: true })`, such as `lines[].email`. Of a schema
 * that contains itself, the first round.
 */
export const piiPaths = (schema: z.ZodType): readonly string[] => [
  ...new Set(markedWithin({ schema, path: '' }, [])),
];

function markedWithin(
  { schema, path }: SchemaPart,
  around: readonly core.$ZodType[],
): readonly string[] {
  if (around.includes(schema)) return [];
  const own = (schema as z.ZodType).meta()?.pii === true ? [path] : [];
  const within = [...around, schema];
  return [...own, ...partsOf(schema, path).flatMap((part) => markedWithin(part, within))];
}
