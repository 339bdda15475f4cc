import type { z } from 'zod';
import { messageOf } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { isoInstant } from './dates.ts';
import { isSchema, type VersionedDefinition } from './definition.ts';
import { jsonSchemaOf } from './json-schema.ts';
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
          ...ownVersionProblems(definition),
          ...deprecationProblems(definition),
          ...shapeProblems(definition.data),
        ]),
  ].map((problem) => `${JSON.stringify(type.slice(0, 100))} ${problem}`);
}

function shapeProblems(schema: z.ZodType): readonly string[] {
  const problems = schemaProblems(schema).map(
    ({ path, message }) => `${path === '' ? 'the schema' : path} ${message}`,
  );
  if (problems.length > 0) return problems;
  try {
    jsonSchemaOf(schema);
    return [];
  } catch (error) {
    return [`has a schema that JSON Schema cannot say: ${messageOf(error)}`];
  }
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
  const { version, upcast = {}, unversioned = version } = definition;
  if (!Number.isSafeInteger(version) || version < 1) {
    return [`has the version ${String(version)}: it must be a whole number from 1`];
  }
  const steps = versionsIn(upcast);
  const outside = steps.filter((step) => !Number.isInteger(step) || step < 1 || step >= version);
  if (outside.length > 0) {
    return [`has an upcast from version ${outside.join(', ')}, which is not before ${version}`];
  }
  const first = Math.min(version, ...steps);
  if (unversioned !== version && !steps.includes(unversioned)) {
    return [`takes events without a version for version ${unversioned}, which is not taken`];
  }
  return steps.length === version - first
    ? []
    : [`has a gap in its upcasts: each version from ${first} to ${version - 1} needs one`];
}

function ownVersionProblems({
  version,
  upcast = {},
  versions = {},
}: VersionedDefinition<z.ZodType>): readonly string[] {
  return Object.entries<unknown>(versions).flatMap(([name, schema]) => {
    const old = Number(name);
    if (!Number.isInteger(old) || old < 1 || old >= version) {
      return [`has a schema of version ${name}, which is not before ${version}`];
    }
    if (!Object.hasOwn(upcast, name))
      return [`has a schema of version ${old} and no upcast from it`];
    if (!isSchema(schema)) return [`has something else than a zod schema as version ${old}`];
    return shapeProblems(schema).map((problem) => `version ${old}: ${problem}`);
  });
}

function deprecationProblems({
  version,
  upcast = {},
  deprecated = {},
}: VersionedDefinition<z.ZodType>): readonly string[] {
  return Object.entries(deprecated).flatMap(([name, { since, sunset, link }]) => {
    const problems: string[] = [];
    if (Number(name) !== version && !Object.hasOwn(upcast, name)) {
      problems.push('is not a version that is taken');
    }
    const [from, until] = [isoInstant(since), isoInstant(sunset)];
    if (from === undefined) problems.push('needs since: a date such as 2026-06-01');
    if (until === undefined) problems.push('needs sunset: a date such as 2026-12-01');
    if (from !== undefined && until !== undefined && until < from) {
      problems.push('has a sunset before its since');
    }
    if (link !== undefined && !isLink(link)) problems.push('has a link that is not an http(s) URL');
    return problems.map((problem) => `deprecated version ${name} ${problem}`);
  });
}

/** It goes out in a `Link` header between angle brackets. */
const isLink = (link: string): boolean =>
  /^https?:\/\/[\x21-\x7e]+$/.test(link) && !/[<>"]/.test(link) && URL.canParse(link);

const versionsIn = (record: Readonly<Record<number, unknown>>): readonly number[] =>
  Object.keys(record).map(Number);
