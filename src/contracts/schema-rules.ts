/**
 * The rules of a contract's schema, found by walking its definition: it must give back exactly what
 * it was given, and that must be JSON. Then the checked data is the sender's own data, with every
 * field that the schema does not name.
 */
import type { core, z } from 'zod';

export interface SchemaProblem {
  /** Where in the data, such as `lines[].sku`; empty for the schema itself. */
  readonly path: string;
  readonly message: string;
}

const TRANSFORMS =
  'must not transform: put the mapping in the source (transform, pipe, preprocess, codec, coerce, default, prefault, catch, trim, case and normalize all change data)';

const TRANSFORMING_KINDS: ReadonlySet<string> = new Set([
  'transform',
  'pipe',
  'default',
  'prefault',
  'catch',
  'success',
]);

const NOT_JSON_KINDS: ReadonlySet<string> = new Set([
  'date',
  'bigint',
  'symbol',
  'map',
  'set',
  'file',
  'function',
  'promise',
  'nan',
  'undefined',
  'void',
]);

/** A part of a schema and where in the data it is, such as `lines[].sku`; empty for the schema itself. */
export interface SchemaPart {
  readonly schema: core.$ZodType;
  readonly path: string;
}

/** Every part of a schema that changes data or is not JSON. */
export function schemaProblems(schema: z.ZodType): readonly SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  const seen = new Set<object>();
  const waiting: SchemaPart[] = [{ schema, path: '' }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.schema)) continue;
    seen.add(next.schema);
    const message = ownProblem(next.schema);
    if (message !== undefined) problems.push({ path: next.path, message });
    else waiting.push(...partsOf(next.schema, next.path));
  }
  return problems;
}

function ownProblem(schema: core.$ZodType): string | undefined {
  const def = schema._zod.def;
  if (TRANSFORMING_KINDS.has(def.type)) return TRANSFORMS;
  if (NOT_JSON_KINDS.has(def.type)) return `is a ${def.type}, which is not JSON`;
  const { coerce, normalize, values } = def as {
    coerce?: boolean;
    normalize?: boolean;
    values?: unknown;
  };
  if (coerce === true || normalize === true) return TRANSFORMS;
  if (def.checks?.some((check) => check._zod.def.check === 'overwrite')) return TRANSFORMS;
  if (def.type === 'literal' && Array.isArray(values) && !values.every(isJsonLiteral)) {
    return 'has a literal that is not JSON';
  }
  return undefined;
}

const isJsonLiteral = (value: unknown): boolean =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

/** What a schema is directly made of. */
export function partsOf(schema: core.$ZodType, path: string): readonly SchemaPart[] {
  const { def } = (schema as core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return [
        ...Object.entries(def.shape).map(([key, field]) => ({
          schema: field,
          path: path === '' ? key : `${path}.${key}`,
        })),
        ...(def.catchall === undefined ? [] : [{ schema: def.catchall, path: `${path}[]` }]),
      ];
    case 'array':
      return [{ schema: def.element, path: `${path}[]` }];
    case 'tuple':
      return [...def.items, ...(def.rest === null ? [] : [def.rest])].map((item, index) => ({
        schema: item,
        path: `${path}[${index}]`,
      }));
    case 'record':
      return [
        { schema: def.keyType, path },
        { schema: def.valueType, path: `${path}[]` },
      ];
    case 'union':
      return def.options.map((option) => ({ schema: option, path }));
    case 'intersection':
      return [def.left, def.right].map((side) => ({ schema: side, path }));
    case 'optional':
    case 'nullable':
    case 'nonoptional':
    case 'readonly':
      return [{ schema: def.innerType, path }];
    case 'lazy':
      return [{ schema: def.getter(), path }];
    default:
      return [];
  }
}
