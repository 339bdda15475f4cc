import { TidegateError } from './error.ts';
import { LIMITS } from './limits.ts';

declare const brand: unique symbol;

/** `<flow>:<tenant>:<key>`, also the Temporal workflow id. Made by {@link makeRunId} only. */
export type RunId = string & { readonly [brand]: 'RunId' };

export interface RunParts {
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
}

const FLOW_NAME = /^[A-Za-z_$][A-Za-z0-9_$]{0,127}$/;
const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse.
const UNPRINTABLE = /[\u0000-\u001f\u007f]/;

/** Whether an export name can be a flow: it becomes a Temporal workflow type and part of the run id. */
export const isFlowName = (name: string): boolean => FLOW_NAME.test(name);

/** Whether a string can be a tenant: it is part of the run id, so it has no colon. */
export const isTenant = (tenant: string): boolean =>
  tenant.length <= LIMITS.tenantCharactersMax && TENANT.test(tenant);

/**
 * The id of the run that events of this flow, tenant and key belong to. The key is kept as it is, in
 * any script and with any path character, because flow names and tenants have no colon.
 *
 * @throws TidegateError `invalid_key` for an empty key, one over {@link LIMITS.keyBytesMax}, or one
 * with control characters or half a surrogate pair, which PostgreSQL or Temporal would refuse later.
 */
export function makeRunId({ flow, tenant, key }: RunParts): RunId {
  const problem = keyProblem(key);
  if (problem !== undefined) {
    throw new TidegateError('invalid_key', `the key of flow ${flow} ${problem}`, {
      details: { flow, tenant },
    });
  }
  return `${flow}:${tenant}:${key}` as RunId;
}

/** The parts of a run id, or undefined when the string is not one. */
export function parseRunId(run: string): RunParts | undefined {
  const match = /^([^:]+):([^:]+):([\s\S]+)$/.exec(run);
  if (match === null) return undefined;
  const [, flow, tenant, key] = match as unknown as [string, string, string, string];
  return isFlowName(flow) && isTenant(tenant) && keyProblem(key) === undefined
    ? { flow, tenant, key }
    : undefined;
}

/** Why a string cannot be stored and shown as an identifier, or undefined when it can. */
export function textProblem(text: string): string | undefined {
  if (UNPRINTABLE.test(text)) return 'has a control character';
  if (!text.isWellFormed()) return 'has half a surrogate pair';
  return undefined;
}

function keyProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return `must be a string, got ${typeof key}`;
  if (key.length === 0) return 'is empty';
  if (utf8Bytes(key) > LIMITS.keyBytesMax) return `is longer than ${LIMITS.keyBytesMax} bytes`;
  return textProblem(key);
}

/**
 * The length of a string in UTF-8; half a surrogate pair has the three bytes of U+FFFD. Counted, because every event
 * asks for several short ones, and to encode one takes ten times as long.
 */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const point = text.codePointAt(index) ?? 0;
    if (point < 0x80) bytes += 1;
    else if (point < 0x800) bytes += 2;
    else if (point < 0x10000) bytes += 3;
    else {
      bytes += 4;
      // It was two units.
      index += 1;
    }
  }
  return bytes;
}
