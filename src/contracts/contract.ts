import type { z } from 'zod';
import type {
  Contract,
  ContractProblem,
  ContractVerdict,
  ContractVersion,
  VersionDeprecation,
} from '../model/contract.ts';
import { messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { textProblem } from '../model/run.ts';
import { isoInstant } from './dates.ts';
import type { DeprecatedVersion, VersionedDefinition } from './definition.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { piiPaths } from './pii.ts';
import { readableProblem, zodProblems } from './problems.ts';

type Definition = VersionedDefinition<z.ZodType>;
type Refused = Extract<ContractVerdict<unknown>, { ok: false }>;

/** The contract of one definition that keeps the rules. Its check returns problems and never throws. */
export function makeContract(type: string, definition: Definition): Contract {
  return {
    type,
    version: definition.version,
    unversioned: definition.unversioned ?? definition.version,
    versions: versionsOf(definition),
    ...(definition.example === undefined ? {} : { example: definition.example as Json }),
    check: (data, version) =>
      version === definition.version
        ? checkCurrent(definition, data)
        : checkOld(definition, data, version),
  };
}

function versionsOf({ version, data, upcast = {}, versions = {}, deprecated = {} }: Definition) {
  const schemas: Readonly<Record<number, z.ZodType>> = { ...versions, [version]: data };
  // Keys that are whole numbers come in their order.
  const taken = [...Object.keys(upcast).map(Number), version];
  return taken.map((each): ContractVersion => {
    const [schema, ending] = [schemas[each], deprecated[each]];
    return {
      version: each,
      schema: schema && jsonSchemaOf(schema),
      pii: schema === undefined ? [] : piiPaths(schema),
      ...(ending && { deprecation: deprecationOf(ending) }),
    };
  });
}

const deprecationOf = (ending: DeprecatedVersion): VersionDeprecation => ({
  since: isoText(ending.since),
  sunset: isoText(ending.sunset),
  ...(ending.link === undefined ? {} : { link: ending.link }),
  refuseAfterSunset: ending.refuseAfterSunset === true,
});

/** The rules of a definition hold that it is a date. */
const isoText = (date: string): string => new Date(isoInstant(date) ?? Number.NaN).toISOString();

/**
 * Data that satisfies its version's own schema is the sender's part done: what an upcast makes of it
 * is ours. Without such a schema only the result shows whether the data was any good.
 */
function checkOld(definition: Definition, data: Json, version: number): ContractVerdict<unknown> {
  const { upcast = {}, versions = {} } = definition;
  if (!Object.hasOwn(upcast, version)) return notTaken(definition, version);
  const own = versions[version];
  const violation = own && checkShape(own, data);
  if (violation !== undefined) return violation;
  const upcasted = upcastToCurrent(definition, data, version);
  if (!upcasted.ok) return upcasted;
  const verdict = checkCurrent(definition, upcasted.data);
  if (verdict.ok || own === undefined) return verdict;
  return { ...verdict, code: 'upcast_failed' };
}

function upcastToCurrent(
  { version: current, upcast = {} }: Definition,
  data: Json,
  version: number,
): { readonly ok: true; readonly data: Json } | Refused {
  // A copy, because an upcast may write to what it is given and a refused event is kept as it came.
  let old: unknown = structuredClone(data);
  for (let from = version; from < current; from += 1) {
    try {
      old = asJson(upcast[from]?.(old as never));
    } catch (error) {
      return refused(
        'upcast_failed',
        `the upcast from version ${from} failed: ${messageOf(error)}`,
      );
    }
  }
  return { ok: true, data: old as Json };
}

function asJson(value: unknown): Json {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('it returned nothing that is JSON');
  if (value instanceof Promise)
    throw new TypeError('it returned a promise; it must be synchronous');
  return JSON.parse(text) as Json;
}

function checkCurrent(definition: Definition, data: Json): ContractVerdict<unknown> {
  // The schema's rules hold that it changes nothing: the data as it came has the unknown fields too.
  return checkShape(definition.data, data) ?? withSubject(definition, data);
}

function checkShape(schema: z.ZodType, data: Json): Refused | undefined {
  try {
    const parsed = schema.safeParse(data);
    if (parsed.success) return undefined;
    const problems = zodProblems(parsed.error.issues);
    return { ok: false, code: 'contract_violation', problems };
  } catch (error) {
    return broken(`the schema could not be applied: ${messageOf(error)}`);
  }
}

function withSubject(definition: Definition, data: Json): ContractVerdict<unknown> {
  if (definition.subject === undefined) return { ok: true, data };
  let subject: unknown;
  try {
    subject = definition.subject(data);
  } catch (error) {
    return broken(`the subject could not be taken from it: ${messageOf(error)}`);
  }
  if (typeof subject !== 'string' || subject === '') return { ok: true, data };
  const problem =
    subject.length > LIMITS.attributeCharactersMax
      ? `is longer than ${LIMITS.attributeCharactersMax} characters`
      : textProblem(subject);
  return problem === undefined
    ? { ok: true, data, subject }
    : broken(`the subject that it gives ${problem}`);
}

function notTaken({ version: current, upcast = {} }: Definition, version: number): Refused {
  const first = Math.min(current, ...Object.keys(upcast).map(Number));
  const taken = first === current ? `version ${current} is` : `versions ${first} to ${current} are`;
  return refused('unknown_version', `version ${version} is not known; ${taken} taken`);
}

/** What concerns the data as a whole has the empty path. */
const refused = (code: Refused['code'], message: string): Refused => {
  const problem: ContractProblem = readableProblem({ path: '', message });
  return { ok: false, code, problems: [problem] };
};

const broken = (message: string): Refused => refused('contract_violation', message);
