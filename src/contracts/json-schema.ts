import { type core, z } from 'zod';
import type { JsonSchema } from '../model/contract.ts';

/**
 * What a schema holds data to and JSON Schema cannot say, so that it is not lost where two versions of
 * a schema are compared: the number of rules in code (`refine`, `superRefine`, `check`, `custom`), flags
 * of regular expressions, options of a URL or token.
 */
export const BEYOND_JSON_SCHEMA = 'x-tidegate-beyond';

/** Checks that have a keyword of their own. */
const SAYABLE: ReadonlySet<string> = new Set([
  'less_than',
  'greater_than',
  'multiple_of',
  'number_format',
  'min_length',
  'max_length',
  'length_equals',
  'string_format',
]);

/**
 * The JSON Schema (draft 2020-12) of what a schema takes.
 *
 * @throws Error for a schema that cannot be written as one.
 */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const beyond = beyondOf(zodSchema);
      if (beyond.length > 0) jsonSchema[BEYOND_JSON_SCHEMA] = beyond;
    },
  }) as JsonSchema;
}

function beyondOf(schema: core.$ZodType): readonly string[] {
  const { def, traits } = schema._zod;
  const checks = (def.checks ?? []).map((check) => check._zod.def);
  const rules = checks.filter(({ check }) => !SAYABLE.has(check)).length;
  const count = def.type === 'custom' ? rules + 1 : rules;
  const { hostname, protocol, alg } = def as { hostname?: RegExp; protocol?: RegExp; alg?: string };
  // A format such as an e-mail address is its own first check.
  const own = traits.has('$ZodCheckStringFormat') ? [def as unknown as core.$ZodCheckDef] : [];
  const formats = [...own, ...checks].filter(({ check }) => check === 'string_format');
  const flags = formats.map((each) => (each as { pattern?: RegExp }).pattern?.flags ?? '');
  return Object.entries({
    rules: count === 0 ? '' : count,
    hostname: hostname ?? '',
    protocol: protocol ?? '',
    alg: alg ?? '',
    flags: flags.every((each) => each === '') ? '' : flags,
    // JSON Schema has room for one.
    formats: formats.length < 2 ? '' : formats.map((each) => (each as { format?: string }).format),
  }).flatMap(([name, value]) => (value === '' ? [] : [`${name} ${String(value)}`]));
}
