/**
 * Every code that Tidegate itself puts on a failure. A code never changes its meaning; each has its
 * entry in docs/reference/errors.md, which a test holds against this list.
 */
export const ERROR_CODES = [
  // Configuration and definitions: the process does not start.
  'config_invalid',
  'duration_invalid',
  'option_invalid',
  'contract_invalid',
  'contracts_lock_invalid',
  'contracts_broken',
  'connector_invalid',
  'flow_invalid',
  'source_invalid',
  'project_invalid',
  'port_taken',
  'temporal_cli_missing',
  // Ingest: the request or one event in it is refused.
  'malformed_json',
  'invalid_event',
  'unknown_type',
  'contract_violation',
  'unknown_version',
  'version_retired',
  'upcast_failed',
  'invalid_key',
  'filter_failed',
  'too_many_hops',
  'runs_in_circles',
  'body_too_large',
  'body_too_slow',
  'too_many_headers',
  'event_too_large',
  'batch_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'method_not_allowed',
  'not_found',
  'unknown_source',
  'signature_missing',
  'signature_invalid',
  'keys_unavailable',
  'unauthorized',
  'forbidden',
  'tenant_forbidden',
  'type_forbidden',
  'rate_limited',
  'source_mapping_failed',
  // Our own trouble: never the caller's fault.
  'journal_unavailable',
  'temporal_unavailable',
  'backlog_full',
  'not_ready',
  'encryption_key_unknown',
  'payload_corrupt',
  'event_data_missing',
  'internal_error',
  // Operating.
  'query_invalid',
  'host_refused',
  'run_not_found',
  'event_not_found',
  'run_not_waiting',
  'fuse_tripped',
  'delivery_refused',
  'decision_invalid',
  'request_invalid',
  'dead_letter_not_found',
  'dead_letter_closed',
  'decision_needed',
  'not_retriable',
  'raw_not_kept',
  'unknown_flow',
  'key_invalid',
  'key_not_found',
  'key_inactive',
  // Deploys: in the log of a worker.
  'flow_changed',
  'no_current_build',
  // Inside a flow.
  'operation_failed',
  'operation_unknown',
  'run_aborted',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Who can mend a failed operation, and how (DESIGN §8). */
export const ERROR_CLASSES = ['transient', 'throttled', 'persistent', 'fatal', 'unknown'] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

/**
 * A failure with a stable code. The message says what happened, to which input, and what to do next.
 *
 * Compare by `code`, or with {@link TidegateError.is}: `instanceof` does not hold across the
 * boundary of Temporal's workflow sandbox, which has its own `Error`.
 */
export class TidegateError extends Error {
  override readonly name = 'TidegateError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Whether a value is a TidegateError, and of this code when one is given. */
  static is(value: unknown, code?: ErrorCode): value is TidegateError {
    if (typeof value !== 'object' || value === null) return false;
    if ((value as { name?: unknown }).name !== 'TidegateError') return false;
    return code === undefined || (value as { code?: unknown }).code === code;
  }
}

/** What a thrown value says, for logs and journal rows; never more than 2,000 characters. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : typeof error === 'string' ? error : '';
  return (text === '' ? 'unknown error' : text).slice(0, 2_000);
}
