import type { Duration } from './duration.ts';
import type { ErrorClass } from './error.ts';
import type { Json } from './event.ts';

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

/** What an operation is given beside its input. */
export interface OperationContext<Config> {
  readonly config: Config;
  /** The same for every attempt of one step of one run, and for no other: pass it to the outside system. */
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly tenant: string;
  readonly correlationId: string;
  /** Aborted at the operation's timeout, on cancellation and on shutdown. */
  readonly signal: AbortSignal;
  /**
   * `fetch` against the connector's `baseUrl`, with its `token` as bearer, the idempotency key as
   * `Idempotency-Key`, and `json` as body. An answer that is not 2xx is thrown in its error class.
   */
  readonly fetch: (path: string, init?: ConnectorRequestInit) => Promise<Response>;
}

export interface ConnectorRequestInit {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

/** One thing that a connector can do. */
export interface Operation<Config, Input, Output> {
  /** `read` changes nothing and is repeated freely; `write` changes the outside system. */
  readonly effect: 'read' | 'write';
  /** The longest one attempt may take; at most ten minutes. */
  readonly timeout: Duration;
  /** Instead of the connector's retry options. */
  readonly retry?: RetryOptions;
  readonly run: (input: Input, call: OperationContext<Config>) => Promise<Output>;
  /** The class of an error that `run` threw, where the general rules do not know it. */
  readonly classify?: (
    error: unknown,
  ) => { readonly errorClass: ErrorClass; readonly retryAfterMs?: number } | undefined;
}

/** Of a connector, what a flow may call: operation names with their input and output. */
export type OperationsOf<Connector> = Connector extends {
  readonly operations: infer Operations;
}
  ? {
      readonly [Name in keyof Operations & string]: Operations[Name] extends {
        readonly run: (input: infer Input, ...rest: never[]) => Promise<infer Output>;
      }
        ? (input: Input) => Promise<Output>
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
  /** Runs one attempt of one operation; throws what the operation threw. */
  run(operation: string, input: Json, call: BoundCall): Promise<Json>;
  operation(name: string): Operation<unknown, never, unknown> | undefined;
}
export interface BoundCall {
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly run: string;
  readonly tenant: string;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}
