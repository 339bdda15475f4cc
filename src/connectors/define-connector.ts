import type { z } from 'zod';
import type {
  BoundCall,
  Classify,
  Operation,
  RateLimit,
  RetryOptions,
} from '../model/connector.ts';
import { type Duration, durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { OPERATION_ATTEMPT_MS_MAX } from '../model/protocol.ts';
import { retryPolicy } from './backoff.ts';

/** What an operation answers when its connector has no credentials under `tidegate dev`. */
export type FakeOperation<Input, Output> = (
  input: Input,
  call: BoundCall,
) => Output | Promise<Output>;

/** A connector of any configuration and operations, as the worker takes it. */
export interface Connector {
  readonly name: string;
  readonly config: z.ZodObject;
  readonly rateLimit?: RateLimit | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly operations: Readonly<Record<string, Operation<never, never, unknown>>>;
  readonly fake?: Readonly<Record<string, FakeOperation<never, unknown> | undefined>> | undefined;
  readonly classify?: Classify | undefined;
}

/** What `defineConnector` makes: `OperationsOf` reads from it what a flow may call. */
export interface DefinedConnector<
  Name extends string,
  Config,
  Inputs,
  Outputs extends Keyed<Inputs>,
> extends Connector {
  readonly name: Name;
  readonly operations: {
    readonly [Key in keyof Inputs & string]: Operation<Config, Inputs[Key], Outputs[Key]>;
  };
}
type Keyed<Inputs> = { readonly [Key in keyof Inputs]: unknown };

/**
 * Typed operations against one outside system.
 *
 * `config` is a zod object whose fields come from `TIDEGATE_<CONNECTOR>_<FIELD>`; `baseUrl` and
 * `token` are what `call.fetch` uses. `retry` holds for all operations that do not say otherwise.
 * `fake` answers under `tidegate dev` while the required configuration is missing: a `write` is kept
 * in the outbox, once per idempotency key, and its fake (if any) only makes the answer, so it must
 * have no effect of its own; a `read` needs one. `classify` gives the class of errors that the general
 * rules do not know. `rateLimit` is carried to the worker; nothing enforces it yet.
 *
 * @throws TidegateError `connector_invalid` or `duration_invalid`, naming the connector and the option.
 * @example
 * ```ts
 * export const crmConnector = defineConnector({
 *   name: 'crm',
 *   config: z.object({ baseUrl: z.url(), token: z.string() }),
 *   operations: {
 *     getDeal: { effect: 'read', timeout: '10s',
 *       run: async (input: { id: string }, call) =>
 *         (await call.fetch(`/deals/${encodeURIComponent(input.id)}`)).json() as Promise<Deal> },
 *   },
 *   fake: { getDeal: ({ id }) => ({ id, name: `Deal ${id}`, stage: 'open' }) },
 * });
 * ```
 */
export function defineConnector<
  const Name extends string,
  Schema extends z.ZodObject,
  Inputs extends object,
  Outputs extends Keyed<Inputs>,
  // Never given: it takes what TypeScript would otherwise infer `Inputs` from, the fakes.
  Faked extends Inputs = Inputs,
>(connector: {
  readonly name: Name;
  readonly config: Schema;
  readonly rateLimit?: RateLimit;
  readonly retry?: RetryOptions;
  // Two mapped types, because TypeScript infers one type per property from each.
  readonly operations: {
    readonly [Key in keyof Inputs]: Operation<z.output<Schema>, Inputs[Key], unknown>;
  } & { readonly [Key in keyof Outputs]: Operation<z.output<Schema>, never, Outputs[Key]> };
  readonly fake?: {
    readonly [Key in keyof Faked]?: FakeOperation<
      Faked[Key],
      Key extends keyof Outputs ? NoInfer<Outputs[Key]> : never
    >;
  };
  readonly classify?: Classify;
}): DefinedConnector<Name, z.output<Schema>, Inputs, Outputs> {
  // TypeScript cannot see that the two mapped types are one.
  const defined = connector as unknown as DefinedConnector<Name, z.output<Schema>, Inputs, Outputs>;
  checkConnector(defined);
  return defined;
}

const CONNECTOR_NAME = /^[a-z][A-Za-z0-9]{0,31}$/;
const OPERATION_NAME = /^[a-z][A-Za-z0-9]{0,63}$/;
/** `journal.*` and `tidegate.*` are the activities of runs; `TIDEGATE_SOURCE_*` belongs to sources. */
const RESERVED_CONNECTORS: readonly string[] = ['journal', 'source', 'tidegate'];
/** An object with `then` would be awaited as a promise. */
const RESERVED_OPERATIONS: readonly string[] = ['then'];

function checkConnector(connector: Connector): void {
  const { name, operations, fake = {}, rateLimit } = connector;
  if (!CONNECTOR_NAME.test(name) || RESERVED_CONNECTORS.includes(name)) {
    throw invalid(
      `the connector name ${JSON.stringify(name)} must be camelCase, at most 32 letters and digits, and none of ${RESERVED_CONNECTORS.join(', ')}`,
    );
  }
  if (Object.keys(operations).length === 0) throw invalid(`connector ${name} has no operation`);
  for (const [operation, options] of Object.entries(operations)) {
    checkOperation(`${name}.${operation}`, operation, { ...options, shared: connector.retry });
  }
  const stray = Object.keys(fake).find((operation) => !Object.hasOwn(operations, operation));
  if (stray !== undefined) {
    throw invalid(`connector ${name} has a fake ${stray}, but no such operation`);
  }
  if (rateLimit !== undefined) checkRateLimit(name, rateLimit);
}

function checkOperation(
  label: string,
  operation: string,
  {
    effect,
    timeout,
    retry,
    writes,
    echoWithin,
    shared,
  }: Operation<never, never, unknown> & { readonly shared: RetryOptions | undefined },
): void {
  if (!OPERATION_NAME.test(operation) || RESERVED_OPERATIONS.includes(operation)) {
    throw invalid(
      `the operation name ${JSON.stringify(operation)} in ${label} must be camelCase, at most 64 letters and digits, and none of ${RESERVED_OPERATIONS.join(', ')}`,
    );
  }
  if (effect !== 'read' && effect !== 'write') {
    throw invalid(`${label}: effect must be 'read' or 'write', got ${JSON.stringify(effect)}`);
  }
  const timeoutMs = durationMs(timeout, `timeout of ${label}`);
  if (timeoutMs < 1 || timeoutMs > OPERATION_ATTEMPT_MS_MAX) {
    throw invalid(`${label}: timeout must be from 1ms to 10m, got ${JSON.stringify(timeout)}`);
  }
  if (writes !== undefined && effect !== 'write') {
    throw invalid(`${label}: a read has no \`writes\``);
  }
  if (echoWithin !== undefined) checkEchoWithin(label, echoWithin, writes !== undefined);
  try {
    retryPolicy(retry, shared);
  } catch (error) {
    if (!TidegateError.is(error)) throw error;
    throw new TidegateError(error.code, `${label}: ${error.message}`);
  }
}

function checkEchoWithin(label: string, echoWithin: Duration, hasWrites: boolean): void {
  if (!hasWrites) throw invalid(`${label}: echoWithin needs \`writes\``);
  const echoMs = durationMs(echoWithin, `echoWithin of ${label}`);
  if (echoMs < 1 || echoMs > LIMITS.echoMsMax) {
    throw invalid(`${label}: echoWithin must be from 1ms to 1d, got ${JSON.stringify(echoWithin)}`);
  }
}

function checkRateLimit(name: string, { limit, per }: RateLimit): void {
  if (!Number.isInteger(limit) || limit < 1) {
    throw invalid(`connector ${name}: rateLimit.limit must be a whole number from 1, got ${limit}`);
  }
  if (durationMs(per, `rateLimit.per of ${name}`) < 1) {
    throw invalid(`connector ${name}: rateLimit.per must be at least 1ms`);
  }
}

const invalid = (message: string) => new TidegateError('connector_invalid', message);
