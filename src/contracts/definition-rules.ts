import type { z } from 'zod';
import { LIMITS } from '../model/limits.ts';
import type { VersionedDefinition } from './definition.ts';
import { schemaProblems } from './schema-rules.ts';

/** Words of letters, digits, `_` and `-`, joined by `.`, `/` or `:`; the first starts with a letter. */
const EVENT_TYPE = /^[A-Za-z][A-Za-z0-9_-]*(?:[./:][A-Za-z0-9_-]+)*$/;

/** Every rule that a definition breaks, each naming the event type. */
export function checkDefinition(
  type: string,
  definition: VersionedDefinition<z.ZodType> | undefined,
): readonly string[] {
  return [
    ...typeProblems(type),
    ...(definition === undefined
      ? ['must be a zod schema, or { version, data: a zod schema }']
      : [
          ...versionProblems(definition),
          ...schemaProblems(definition.data).map(
            ({ path, message }) => `${path === '' ? 'the schema' : path} ${message}`,
          ),
        ]),
  ].map((problem) => `${JSON.stringify(type.slice(0, 100))} ${problem}`);
}

function typeProblems(type: string): readonly string[] {
  if (type.length > LIMITS.attributeCharactersMax) {
    return [`is longer than ${LIMITS.attributeCharactersMax} characters`];
  }
  return EVENT_TYPE.test(type)
    ? []
    : ['is not an event type: name the fact with words joined by dots, such as deal.stage_changed'];
}

function versionProblems(definition: VersionedDefinition<z.ZodType>): readonly string[] {
  const { version, upcast = {} } = definition;
  if (!Number.isSafeInteger(version) || version < 1) {
    return [`has the version ${String(version)}: it must be a whole number from 1`];
  }
  const steps = Object.keys(upcast).map(Number);
  const outside = steps.filter((step) => !Number.isInteger(step) || step < 1 || step >= version);
  if (outside.length > 0) {
    return [`has an upcast from version ${outside.join(', ')}, which is not before ${version}`];
  }
  const first = Math.min(version, ...steps);
  return steps.length === version - first
    ? []
    : [`has a gap in its upcasts: each version from ${first} to ${version - 1} needs one`];
}
