import type { SaidChange } from './change.ts';
import type { Duration } from './duration.ts';
import type { ErrorClass } from './error.ts';
import type { Json } from './event.ts';
import type { RunId } from './run.ts';

/** How often and how long an operation is tried again (DESIGN §8). */
export interface RetryOptions {
  /** Attempts in all, the first included. @default 6 */
  readonly attempts?: number;
  /** The upper bound of the first delay; each next one doubles. Delays are drawn from 0 to the bound (full jitter). @default '500ms' */
  readonly initial?: Duration;
  /** The upper bound of any delay. @default '1m' */
  readonly max?: Duration;
  /** The time that all attempts and delays may take together. @default '15m' */
  readonly within?: Duration;
}

/** How many calls of an outside system may start in a time. */
export interface RateLimit {
  /** A whole number, at least 1. */
  readonly limit: number;
  readonly per: Duration;
}

/** What an operation is given beside its input. */
export interface OperationContext<Config> {
  readonly config: Config;
  /**
   * The same for every attempt of one step of one run, and for no other: pass it to the outside
   * system. Printable ASCII without spaces, at most 255 characters, so that it fits a header.
   */
  readonly idempotencyKey: string;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  readonly tenant: string;
  readonly correlationId: string;
  /** Aborted at the operation's timeout, on cancellation and on shutdown: pass it to what waits. */
  readonly signal: AbortSignal;
  /**
   * `fetch` against the connector's `baseUrl`, with its `token` as bearer, `json` as body and, on all
   * but GET, the idempotency key as `Idempotency-Key`; so one call that changes something per
   * operation. The path cannot leave the base URL; encode what you put in it. An answer that is not
   * 2xx is thrown in its error class. Redirects are not followed. The answer has been read, and is
   * bounded by `LIMITS.responseBytesMax`.
   *
   * @throws TidegateError `operation_failed`.
   */
  readonly fetch: (path: string, init?: ConnectorRequestInit) => Promise<Response>;
}

export interface ConnectorRequestInit {
  /** @default 'GET' */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

/** Who can mend an error and when it may be tried again; `undefined` where the general rules are to decide. */
export type Classify = (
  error: unknown,
) => { readonly errorClass: ErrorClass; readonly retryAfterMs?: number } | undefined;

/** One thing that a connector can do. */
export interface Operation<Config, Input, Output> {
  /** `read` changes nothing and is repeated freely; `write` changes the outside system. */
  readonly effect: 'read' | 'write';
  /** The longest one attempt may take; at most ten minutes. */
  readonly timeout: Duration;
  /** Instead of the connector's retry options, one by one. */
  readonly retry?: RetryOptions;
  /**
   * Whether the outside system takes a second call with the same idempotency key as the first one.
   * Where it does not, a `write` is not repeated once it may have happened (the connection was lost
   * or timed out after the request went out, the worker died, the other side failed half-way): the
   * failure is `unknown` and the run waits for a person.
   * @default true
   */
  readonly repeatable?: boolean;
  readonly run: (input: Input, call: OperationContext<Config>) => Promise<Output>;
  /**
   * What a `write` changes in the outside system, so that the webhook by which the system tells of it is
   * known as our own echo: the object, and the fields with the values that it will tell. `system` is the
   * connector's name unless given. Pure. Undefined for an input that changes nothing which is told.
   * @default its echoes are not known
   */
  readonly writes?: (input: Input) => SaidChange | undefined;
  /** How long the echo of a write may take; one that is later passes. At most a day. @default '10m' */
  readonly echoWithin?: Duration;
  /** The class of an error that `run` threw. Asked first; the connector's `classify` next. */
  readonly classify?: Classify;
}

/** What a flow receives for what an operation returned: it travels as JSON, which has no `undefined`. */
type Received<Output> = [Promise<Output>] extends [Promise<void>]
  ? Promise<void>
  : Promise<undefined extends Output ? Exclude<Output, undefined> | null : Output>;

/** Of a connector, what a flow may call: operation names with their input and output. */
export type OperationsOf<Connector> = Connector extends {
  readonly operations: infer Operations;
}
  ? {
      readonly [Name in keyof Operations & string]: Operations[Name] extends {
        readonly run: (input: infer Input, ...rest: never[]) => Promise<infer Output>;
      }
        ? (...input: unknown extends Input ? [input?: Input] : [input: Input]) => Received<Output>
        : never;
    }
  : never;

/** A connector ready to run, bound to its configuration or to its fake. */
export interface BoundConnector {
  readonly name: string;
  /** `live` calls the outside system; `fake` keeps what it would have sent in the outbox. */
  readonly mode: 'live' | 'fake';
  readonly operations: readonly string[];
  readonly retry: RetryOptions;
  readonly rateLimit?: RateLimit;
  /**
   * Runs one attempt of one operation, and no longer than until `call.signal` is aborted. Returns
   * what the operation returned, unchecked.
   *
   * @throws TidegateError `operation_failed` with the error class decided (`OperationProblem` in its
   * details), or `operation_unknown`.
   */
  run(operation: string, input: Json, call: BoundCall): Promise<unknown>;
  operation(name: string): Operation<never, never, unknown> | undefined;
}
export interface BoundCall {
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly run: RunId;
  readonly tenant: string;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

/** The details of an `operation_failed` error: what is known of the failure. */
export interface OperationProblem {
  readonly errorClass: ErrorClass;
  /** How long the outside system asks to be left alone. */
  readonly retryAfterMs?: number;
  /** The HTTP status of the answer, when there was one. */
  readonly status?: number;
  /** Whether the outside system may have done what was asked all the same. */
  readonly mayHaveHappened: boolean;
}
