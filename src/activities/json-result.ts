import { operationError } from '../connectors/operation-error.ts';
import type { Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { utf8Bytes } from '../model/run.ts';

const DEPTH_MAX = 100;

/**
 * What an operation returned, as it will arrive in the flow: nothing becomes null, fields that are
 * undefined are left out.
 *
 * @throws TidegateError `operation_failed`, class `fatal`, when it is not JSON (a Date, a Map, a
 * Response: they would arrive as something else than their type says) or over
 * {@link LIMITS.resultBytesMax}.
 */
export function jsonResult(value: unknown): Json {
  if (value === undefined) return null;
  const problem = jsonProblem(value, 'the result', 0);
  if (problem !== undefined) {
    throw refused(`${problem}, which is not JSON: return plain data`);
  }
  const text = JSON.stringify(value);
  const bytes = utf8Bytes(text);
  if (bytes > LIMITS.resultBytesMax) {
    throw refused(
      `the result has ${bytes} bytes as JSON, at most ${LIMITS.resultBytesMax} can be kept: return what the flow needs of it`,
    );
  }
  return JSON.parse(text) as Json;
}

function jsonProblem(value: unknown, path: string, depth: number): string | undefined {
  if (depth > DEPTH_MAX) return `${path.slice(0, 100)}… is nested over ${DEPTH_MAX} levels deep`;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : `${path} is ${value}`;
    case 'object':
      return value === null ? undefined : objectProblem(value, path, depth);
    default:
      return `${path} is a ${typeof value}`;
  }
}

function objectProblem(value: object, path: string, depth: number): string | undefined {
  if (Array.isArray(value)) {
    return first(
      value.map((item, index) => [`${path}[${index}]`, item] as const),
      depth,
    );
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `${path} is a ${value.constructor?.name ?? 'special object'}`;
  }
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return first(
    fields.map(([name, field]) => [`${path}.${name}`, field] as const),
    depth,
  );
}

function first(
  items: readonly (readonly [path: string, value: unknown])[],
  depth: number,
): string | undefined {
  for (const [path, value] of items) {
    const problem = jsonProblem(value, path, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

// The call itself succeeded; it is the connector's code that a person has to mend.
const refused = (message: string) => operationError('fatal', message, { mayHaveHappened: true });
