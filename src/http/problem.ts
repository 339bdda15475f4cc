import { STATUS_CODES } from 'node:http';
import type { Response } from 'express';
import type { ErrorCode } from '../model/error.ts';
import { TidegateError } from '../model/error.ts';

/**
 * An error answer, RFC 9457. `type` is left out, which means `about:blank`: the stable name of a
 * problem is its `code`.
 */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Each part of the input that was refused, with its path such as `data.lines[0].sku`. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** Statuses of the codes that a caller can meet; every other code is our own failure, a 500. */
const STATUS_OF: Partial<Readonly<Record<ErrorCode, number>>> = {
  malformed_json: 400,
  query_invalid: 400,
  unauthorized: 401,
  signature_missing: 401,
  signature_invalid: 401,
  host_refused: 403,
  forbidden: 403,
  tenant_forbidden: 403,
  type_forbidden: 403,
  not_found: 404,
  unknown_source: 404,
  run_not_found: 404,
  dead_letter_not_found: 404,
  event_not_found: 404,
  raw_not_kept: 404,
  method_not_allowed: 405,
  body_too_slow: 408,
  run_not_waiting: 409,
  dead_letter_closed: 409,
  decision_needed: 409,
  not_retriable: 409,
  key_not_found: 404,
  key_inactive: 409,
  body_too_large: 413,
  event_too_large: 413,
  batch_too_large: 413,
  unsupported_media_type: 415,
  unsupported_encoding: 415,
  invalid_event: 422,
  unknown_type: 422,
  contract_violation: 422,
  unknown_version: 422,
  version_retired: 422,
  invalid_key: 422,
  filter_failed: 422,
  too_many_hops: 422,
  source_mapping_failed: 422,
  rate_limited: 429,
  too_many_headers: 431,
  decision_invalid: 422,
  request_invalid: 422,
  unknown_flow: 422,
  key_invalid: 422,
  journal_unavailable: 503,
  temporal_unavailable: 503,
  backlog_full: 503,
  keys_unavailable: 503,
  not_ready: 503,
  encryption_key_unknown: 503,
  // A source without its secret, found when it is used.
  config_invalid: 503,
};

/** The status that a code is answered with. */
export const statusOf = (code: ErrorCode): number => STATUS_OF[code] ?? 500;

/** Seconds after which to try again, for our own trouble that is expected to pass. */
const RETRY_AFTER_SECONDS = 2;

/** What is said of our own outages: the error's message can name hosts and ports, which the log keeps. */
const DETAIL_OF: Partial<Readonly<Record<ErrorCode, string>>> = {
  journal_unavailable:
    'The journal does not answer now. Nothing of this request counts as taken; sending it again with the same ids is safe.',
  keys_unavailable: 'The keys to verify this with cannot be fetched now: send it again.',
  temporal_unavailable:
    'Temporal or its worker does not answer now. What was asked may have been done; sending it again is safe.',
};

/**
 * What to answer for a thrown value. Of a value that is not a TidegateError nothing is told, because
 * its message can hold anything. `details.errors` of a TidegateError become the problem's `errors`.
 */
export function problemOf(error: unknown): Problem {
  const known = TidegateError.is(error) ? error : fromExpress(error);
  if (known === undefined) {
    return problem(500, 'internal_error', 'Something failed on our side; the log has the details.');
  }
  const errors = known.details.errors as Problem['errors'];
  const detail = DETAIL_OF[known.code] ?? known.message;
  return problem(statusOf(known.code), known.code, detail, errors);
}

/** Answers a thrown value as `application/problem+json`, with `Retry-After` on 429 and 503. */
export function sendProblem(response: Response, error: unknown): void {
  const body = problemOf(error);
  const retryAfter = retryAfterSeconds(error, body.status);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  const challenge = TidegateError.is(error) ? error.details.challenge : undefined;
  if (typeof challenge === 'string') response.set('WWW-Authenticate', challenge);
  response
    .status(body.status)
    .set('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(body));
}

/** What the error says in `details.retryAfterSeconds`, for refusals that are expected to pass. */
function retryAfterSeconds(error: unknown, status: number): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const known = TidegateError.is(error) ? error.details.retryAfterSeconds : undefined;
  return typeof known === 'number' ? known : RETRY_AFTER_SECONDS;
}

function problem(
  status: number,
  code: ErrorCode,
  detail: string,
  errors?: Problem['errors'],
): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  return { title, status, code, detail, ...(errors === undefined ? {} : { errors }) };
}

/** Express and its body parser throw errors of their own, told apart by `status` and `type`. */
function fromExpress(error: unknown): TidegateError | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, type } = error as { readonly status?: unknown; readonly type?: unknown };
  switch (type) {
    case 'entity.parse.failed':
      return new TidegateError('malformed_json', 'The body is not JSON.');
    case 'entity.too.large':
      return new TidegateError('body_too_large', 'The body is larger than this address takes.');
    case 'encoding.unsupported':
      return new TidegateError('unsupported_encoding', 'Send the body as it is or gzipped.');
    case 'charset.unsupported':
      return new TidegateError('unsupported_media_type', 'Send JSON in UTF-8.');
  }
  // A path with a broken percent-encoding, or a body that ended early.
  if (error instanceof URIError) {
    return new TidegateError('not_found', 'The address has a broken percent-encoding.');
  }
  return status === 400 ? new TidegateError('malformed_json', 'The body is broken.') : undefined;
}
