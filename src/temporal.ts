/**
 * The connections to Temporal. One per use: the dispatcher and the operator API each bring their own
 * deadlines, so that a slow server costs a caller a bounded time.
 */
import {
  Connection,
  type ConnectionOptions,
  isGrpcServiceError,
  isRetryableError,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { messageOf, TidegateError } from './model/error.ts';
import { SEARCH_ATTRIBUTES } from './model/protocol.ts';

/** Where Temporal is and how to get in. */
export interface TemporalTarget {
  readonly namespace: string;
  readonly connection: NativeConnectionOptions;
  /** What encrypts payloads. @default nothing does */
  readonly dataConverter?: DataConverter;
}

/** The Temporal that the environment names, by the standard variables of `@temporalio/envconfig`. */
export function temporalFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): TemporalTarget {
  const overrideEnvVars = Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars });
  return { namespace: namespace ?? 'default', connection: connectionOptions };
}

/** The dev server that `tidegate dev` starts. */
export const localTemporal = (port: number): TemporalTarget => ({
  namespace: 'default',
  connection: { address: `127.0.0.1:${port}` },
});

const CALL_ATTEMPTS_MAX = 3;

/**
 * A connection that is made when first used, and again after every outage. Its calls are tried three
 * times with short pauses: the SDK's default takes 20 s against a dead server, and 39 s for a body
 * that can never fit.
 */
export function lazyConnection(target: TemporalTarget): Connection {
  return Connection.lazy({
    ...(target.connection as ConnectionOptions),
    interceptors: [
      makeGrpcRetryInterceptor({
        retryableDecider: (attempt, status) =>
          attempt < CALL_ATTEMPTS_MAX &&
          isRetryableError(status) &&
          !/larger than max/.test(status.details ?? ''),
        delayFunction: () => 50 + Math.random() * 150,
      }),
      endsWhenClosed,
    ],
  });
}

type Interceptor = ReturnType<typeof makeGrpcRetryInterceptor>;
type Listener = Parameters<ReturnType<Interceptor>['start']>[1];
const CANCELLED = 1;

/**
 * A try that a timer of the SDK begins after the connection was closed ends as cancelled. gRPC throws
 * then, in the timer, where nobody can catch it: the process would end with a fault.
 */
const endsWhenClosed: Interceptor = (options, nextCall) => {
  try {
    return nextCall(options) as ReturnType<Interceptor>;
  } catch (error) {
    const ended = {
      start: (_metadata: unknown, listener: Listener) =>
        listener?.onReceiveStatus?.({ code: CANCELLED, details: messageOf(error) } as never),
      sendMessage: () => {},
      sendMessageWithContext: () => {},
      startRead: () => {},
      halfClose: () => {},
      cancelWithStatus: () => {},
    };
    return ended as unknown as ReturnType<Interceptor>;
  }
};

const HEALTH_DEADLINE_MS = 1_000;

/**
 * Resolves when the server answers that it serves.
 * @throws TidegateError `temporal_unavailable`.
 */
export async function pingTemporal(connection: Connection): Promise<void> {
  try {
    await connection.withDeadline(Date.now() + HEALTH_DEADLINE_MS, () =>
      connection.healthService.check({
        service: 'temporal.api.workflowservice.v1.WorkflowService',
      }),
    );
  } catch (error) {
    throw new TidegateError(
      'temporal_unavailable',
      `Temporal does not answer: ${messageOf(error)}. Accepted events wait in the journal.`,
      { cause: error },
    );
  }
}

const INDEXED_VALUE_TYPE_KEYWORD = 2;
const REGISTER_MS_MAX = 10_000;
/** https://grpc.io/docs/guides/status-codes/ */
const GRPC = {
  deadlineExceeded: 4,
  alreadyExists: 6,
  permissionDenied: 7,
  unimplemented: 12,
} as const;

/**
 * Registers the search attributes where they are missing. A Temporal that does not allow this call
 * needs an administrator to add them (docs/operating/running.md).
 *
 * @returns `unchecked` when the caller may not even list them, so that nothing is known.
 * @throws TidegateError `temporal_unavailable` when Temporal does not answer · `config_invalid` when
 * one exists with another type, or cannot be added.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<'registered' | 'unchecked'> {
  try {
    return await connection.withDeadline(Date.now() + REGISTER_MS_MAX, () =>
      addMissing(connection, namespace),
    );
  } catch (error) {
    if (TidegateError.is(error)) throw error;
    if (isAway(error)) {
      throw new TidegateError(
        'temporal_unavailable',
        `Temporal does not answer: ${messageOf(error)}. Check that it runs and that TEMPORAL_ADDRESS names it.`,
        { cause: error },
      );
    }
    throw new TidegateError(
      'config_invalid',
      `Temporal refuses to register the search attributes ${NAMES.join(', ')} (Keyword) in the namespace ${namespace}: ${messageOf(error)}. Check TEMPORAL_NAMESPACE, or add them by hand (docs/operating/running.md).`,
      { cause: error },
    );
  }
}

const NAMES = Object.values(SEARCH_ATTRIBUTES);

async function addMissing(
  connection: Connection,
  namespace: string,
): Promise<'registered' | 'unchecked'> {
  const found = await listed(connection, namespace);
  if (found === undefined) return 'unchecked';
  const wrong = NAMES.filter(
    (name) => (found[name] ?? INDEXED_VALUE_TYPE_KEYWORD) !== INDEXED_VALUE_TYPE_KEYWORD,
  );
  if (wrong.length > 0) {
    throw new TidegateError(
      'config_invalid',
      `The Temporal namespace ${namespace} has the search attributes ${wrong.join(', ')} with another type than Keyword. Use another namespace.`,
    );
  }
  const missing = NAMES.filter((name) => found[name] === undefined);
  if (missing.length === 0) return 'registered';
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD]),
      ),
    });
  } catch (error) {
    // Another process of ours was faster.
    if (!hasCode(error, GRPC.alreadyExists)) throw error;
  }
  return 'registered';
}

/** The types of the namespace's search attributes; undefined when the caller may not see them. */
async function listed(
  connection: Connection,
  namespace: string,
): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace,
    });
    return customAttributes;
  } catch (error) {
    if (hasCode(error, GRPC.permissionDenied, GRPC.unimplemented)) return undefined;
    throw error;
  }
}

const hasCode = (error: unknown, ...codes: readonly number[]): boolean =>
  isGrpcServiceError(error) && codes.includes(error.code);

const isAway = (error: unknown): boolean =>
  isGrpcServiceError(error) && (isRetryableError(error) || hasCode(error, GRPC.deadlineExceeded));
