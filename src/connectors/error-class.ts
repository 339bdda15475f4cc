/**
 * Who can mend a failed call, and whether it may be tried again (DESIGN §8). Pure.
 *
 * A call that failed for a passing reason is `transient` and is tried again, with the same
 * idempotency key. That is safe for a read, and for a write whose outside system knows the key
 * again. For a write that is not repeatable it is safe only when the request cannot have been
 * carried out; otherwise the class is `unknown` and a person decides. What counts as "cannot have
 * been carried out": no connection was made, or the answer itself says so (408, 425, 429, 503).
 */
import type { Classify, Operation, OperationProblem } from '../model/connector.ts';
import { type ErrorClass, TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { problemOf } from './operation-error.ts';

const NEEDS_A_PERSON: ReadonlySet<number> = new Set([401, 402, 403, 404, 410, 423]);

/** The failure that an HTTP status other than 2xx means. */
export function classifyStatus(
  status: number,
  options: { readonly retryAfter?: string | null | undefined; readonly nowMs: number },
): OperationProblem {
  const after = retryAfterMs(options.retryAfter, options.nowMs);
  const waiting = after === undefined ? {} : { retryAfterMs: after };
  if (status === 429) {
    return { errorClass: 'throttled', mayHaveHappened: false, status, ...waiting };
  }
  if (status === 503) {
    return { errorClass: 'transient', mayHaveHappened: false, status, ...waiting };
  }
  if (status === 408 || status === 425) {
    return { errorClass: 'transient', mayHaveHappened: false, status };
  }
  if (status >= 500) return { errorClass: 'transient', mayHaveHappened: true, status };
  // A redirect: the configured address is not the right one.
  if (status >= 300 && status < 400) {
    return { errorClass: 'persistent', mayHaveHappened: false, status };
  }
  const errorClass = NEEDS_A_PERSON.has(status) ? 'persistent' : 'fatal';
  return { errorClass, mayHaveHappened: false, status };
}

/**
 * A `Retry-After` in milliseconds, whether it says seconds or a date; undefined when it says neither.
 * https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
 */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}(\.\d+)?$/.test(text)) return bounded(Number(text) * 1_000);
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : bounded(atMs - nowMs);
}

const bounded = (ms: number): number =>
  Math.ceil(Math.min(Math.max(ms, 0), LIMITS.retryAfterMsMax));

/** The failure that a thrown value means, before it is known what was asked for. */
export function classifyError(error: unknown, nowMs: number): OperationProblem {
  const known = problemOf(error);
  if (known !== undefined) return known;
  if (TidegateError.is(error)) {
    // The outbox of a fake: the journal is back soon, and knows what it has kept.
    const errorClass = error.code === 'journal_unavailable' ? 'transient' : 'fatal';
    return { errorClass, mayHaveHappened: false };
  }
  const chain = causesOf(error);
  const inner = chain.map(problemOf).find((problem) => problem !== undefined);
  if (inner !== undefined) return inner;
  const network = networkProblem(chain);
  if (network !== undefined) return network;
  const status = statusOf(error);
  if (status !== undefined) return classifyStatus(status, { nowMs });
  if (error instanceof Error && BUGS.has(error.name)) {
    return { errorClass: 'fatal', mayHaveHappened: true };
  }
  return { errorClass: 'transient', mayHaveHappened: true };
}

/** The final class of a failure: what `classify` says, or else the general rules. */
export function judge(
  error: unknown,
  options: {
    readonly operation: Pick<Operation<never, never, unknown>, 'effect' | 'repeatable'>;
    readonly classifiers: readonly (Classify | undefined)[];
    readonly nowMs: number;
  },
): OperationProblem {
  const general = classifyError(error, options.nowMs);
  for (const classify of options.classifiers) {
    const verdict = attempted(classify, error);
    if (verdict !== undefined) {
      const mayHaveHappened = verdict.errorClass === 'unknown';
      return { ...withoutWait(general), ...verdict, mayHaveHappened };
    }
  }
  return { ...general, errorClass: afterEffect(general, options.operation) };
}

/** A `write` that may have happened and cannot be repeated is for a person to look up. */
export function afterEffect(
  { errorClass, mayHaveHappened }: OperationProblem,
  { effect, repeatable = true }: Pick<Operation<never, never, unknown>, 'effect' | 'repeatable'>,
): ErrorClass {
  const doubtful = errorClass === 'transient' && mayHaveHappened;
  return doubtful && effect === 'write' && !repeatable ? 'unknown' : errorClass;
}

const withoutWait = ({ retryAfterMs: _, ...rest }: OperationProblem): OperationProblem => rest;

/** A classifier that fails is a bug of its own, and must not hide the failure that it was asked about. */
function attempted(classify: Classify | undefined, error: unknown): ReturnType<Classify> {
  try {
    return classify?.(error);
  } catch {
    return undefined;
  }
}

/** Errors of the program itself, or of data that breaks its contract: another attempt ends the same. */
const BUGS: ReadonlySet<string> = new Set([
  'TypeError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'URIError',
  'ZodError',
  '$ZodError',
]);

/** No connection was made, so nothing was asked. */
const NOT_CONNECTED =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EAI_FAIL|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|UNABLE_TO_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)$/;
/** The connection was there, and was lost: how far the request got is not known. */
const CONNECTION_LOST =
  /^(ECONNRESET|EPIPE|ETIMEDOUT|ECONNABORTED|EPROTO|ERR_SSL_\w+|ERR_HTTP2_\w+|ERR_STREAM_PREMATURE_CLOSE|UND_ERR_\w+|HPE_\w+)$/;

function networkProblem(chain: readonly unknown[]): OperationProblem | undefined {
  const codes = chain.flatMap(networkCode);
  if (codes.some(({ connected }) => connected)) {
    return { errorClass: 'transient', mayHaveHappened: true };
  }
  if (codes.length > 0) return { errorClass: 'transient', mayHaveHappened: false };
  if (chain.some((error) => /^(AbortError|TimeoutError)$/.test(nameOf(error)))) {
    return { errorClass: 'transient', mayHaveHappened: true };
  }
  return undefined;
}

function networkCode(error: unknown): readonly { readonly connected: boolean }[] {
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown };
  if (typeof code !== 'string') return [];
  if (NOT_CONNECTED.test(code)) return [{ connected: false }];
  return CONNECTION_LOST.test(code) ? [{ connected: syscall !== 'connect' }] : [];
}

/** The code by which the network named a failure, such as `ECONNREFUSED`. */
export function networkCodeOf(error: unknown): string | undefined {
  const named = causesOf(error).find((cause) => networkCode(cause).length > 0);
  return named === undefined ? undefined : (named as { readonly code: string }).code;
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

const CAUSES_MAX = 10;

/** An error with its causes: `fetch` hides the network's error in `cause`, Node two of them in `errors`. */
function causesOf(error: unknown): readonly object[] {
  const found: object[] = [];
  const waiting: unknown[] = [error];
  while (waiting.length > 0 && found.length < CAUSES_MAX) {
    const next = waiting.shift();
    if (typeof next !== 'object' || next === null) continue;
    found.push(next);
    const { cause, errors } = next as { readonly cause?: unknown; readonly errors?: unknown };
    waiting.push(cause, ...(Array.isArray(errors) ? errors.slice(0, CAUSES_MAX) : []));
  }
  return found;
}

/** The HTTP status on an error of a vendor's SDK. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, statusCode } = error as {
    readonly status?: unknown;
    readonly statusCode?: unknown;
  };
  return [status, statusCode].find(
    (value): value is number =>
      Number.isInteger(value) && Number(value) >= 300 && Number(value) < 600,
  );
}
