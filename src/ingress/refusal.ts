import { hash } from 'node:crypto';
import { readableProblem } from '../contracts/problems.ts';
import type { ContractProblem } from '../model/contract.ts';
import type { ErrorCode } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { isTenant, textProblem, utf8Bytes } from '../model/run.ts';
import type { Candidate, Passing, Refusal } from './exchange.ts';
import { structureProblem } from './json.ts';

/** What can be done about an event that our own definitions refused. */
export const SEND_AGAIN = 'restart and send the event again: it is kept under /api/v1/dead-letters';

/** Refuses what is no event; it is kept under what identity it has, else under a hash of itself. */
export function refuseCandidate(
  candidate: Candidate,
  code: ErrorCode,
  errors: readonly ContractProblem[],
): Refusal {
  const { attributes } = candidate;
  const body = textOf(candidate, code);
  const id = printable(attributes.id) ?? `sha256:${sha256(body)}`;
  const type = printable(attributes.type);
  const tenant = printable(attributes.tenantid) ?? '';
  const shown = errors.slice(0, LIMITS.problemsMax).map(readableProblem);
  return {
    kind: 'refused',
    code,
    correlationId: printable(attributes.correlationid) ?? id,
    rejection: {
      tenant: isTenant(tenant) ? tenant : 'default',
      source: printable(attributes.source) ?? 'unknown',
      id,
      ...(type === undefined ? {} : { type }),
      code,
      message: summary(code, shown),
      errors: shown,
      body,
      ...(candidate.isOurs && { isOurs: true }),
    },
  };
}

/** Refuses an event: what is wrong is not its envelope. */
export function refuseEvent(
  { candidate, event }: Passing,
  code: ErrorCode,
  message: string,
  errors?: readonly ContractProblem[],
): Refusal {
  return {
    kind: 'refused',
    code,
    correlationId: event.correlationid,
    rejection: {
      tenant: event.tenantid,
      source: event.source,
      id: event.id,
      type: event.type,
      code,
      message,
      ...(errors === undefined ? {} : { errors }),
      body: textOf(candidate, code),
      ...(candidate.isOurs && { isOurs: true }),
    },
  };
}

/** What came, as a structured CloudEvent, so that it can be sent again. */
function textOf({ attributes, data, requestBytes }: Candidate, code: ErrorCode): string {
  const isWhole = code !== 'event_too_large' && structureProblem(data) === undefined;
  // An attribute can be of any depth here, and JSON.stringify overflows the stack.
  const scalars = Object.fromEntries(
    Object.entries(attributes).filter(([, value]) => typeof value !== 'object'),
  );
  const text = JSON.stringify(isWhole ? { ...scalars, data } : scalars);
  return utf8Bytes(text) <= LIMITS.eventBytesMax
    ? text
    : JSON.stringify({ truncated: true, requestBytes });
}

const summary = (code: ErrorCode, errors: readonly ContractProblem[]): string => {
  const named = errors
    .slice(0, 10)
    .map(({ path, message }) => `${path} ${message}`)
    .join('; ');
  return code === 'event_too_large'
    ? `The event is too large: ${named}.`
    : `This is not an event: ${named}.`;
};

/** An attribute that can be shown and stored, else undefined. */
const printable = (value: unknown): string | undefined =>
  typeof value === 'string' &&
  value !== '' &&
  value.length <= LIMITS.attributeCharactersMax &&
  textProblem(value) === undefined
    ? value
    : undefined;

/** SHA-256 in hex. */
export const sha256 = (content: string | Uint8Array): string => hash('sha256', content, 'hex');
