import type { z } from 'zod';
import type { Contract, ContractProblem, ContractVerdict } from '../model/contract.ts';
import { messageOf } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { textProblem } from '../model/run.ts';
import type { VersionedDefinition } from './definition.ts';
import { readableProblem, zodProblems } from './problems.ts';

type Upcasted =
  | { readonly ok: true; readonly data: Json }
  | { readonly ok: false; readonly problems: readonly ContractProblem[] };

/** The contract of one definition that keeps the rules. Its check returns problems and never throws. */
export function makeContract(type: string, definition: VersionedDefinition<z.ZodType>): Contract {
  return {
    type,
    version: definition.version,
    check(data, version) {
      const upcasted = upcast(definition, data, version);
      return upcasted.ok ? checkCurrent(definition, upcasted.data) : upcasted;
    },
  };
}

function upcast(definition: VersionedDefinition<z.ZodType>, data: Json, version: number): Upcasted {
  const { version: current, upcast: steps = {} } = definition;
  if (version === current) return { ok: true, data };
  if (!Number.isSafeInteger(version) || version > current || !Object.hasOwn(steps, version)) {
    return broken(`version ${version} is not known; the current one is ${current}`);
  }
  // A copy, because an upcast may write to what it is given and a refused event is kept as it came.
  let old: unknown = structuredClone(data);
  for (let from = version; from < current; from += 1) {
    try {
      old = asJson(steps[from]?.(old as never));
    } catch (error) {
      return broken(`the upcast from version ${from} failed: ${messageOf(error)}`);
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

function checkCurrent(
  definition: VersionedDefinition<z.ZodType>,
  data: Json,
): ContractVerdict<unknown> {
  try {
    const parsed = definition.data.safeParse(data);
    if (!parsed.success) return { ok: false, problems: zodProblems(parsed.error.issues) };
  } catch (error) {
    return broken(`the schema could not be applied: ${messageOf(error)}`);
  }
  // The schema's rules hold that it changes nothing: the data as it came has the unknown fields too.
  return withSubject(definition, data);
}

function withSubject(
  definition: VersionedDefinition<z.ZodType>,
  data: Json,
): ContractVerdict<unknown> {
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

/** What concerns the data as a whole has the empty path. */
const broken = (message: string): Extract<Upcasted, { ok: false }> => ({
  ok: false,
  problems: [readableProblem({ path: '', message })],
});
