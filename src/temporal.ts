/** Where Temporal is, and the connections to it. A slow server costs a caller a bounded time. */
import {
  Connection,
  type ConnectionOptions,
  isRetryableError,
  makeGrpcRetryInterceptor,
} from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { messageOf, TidegateError } from './model/error.ts';

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
 * times with short pauses, and end at their deadline: the SDK's default takes 20 s against a dead server,
 * 39 s for a body that can never fit, and for ever with a server that says nothing.
 */
export function lazyConnection(target: TemporalTarget): Connection {
  const connection = Connection.lazy({
    ...(target.connection as ConnectionOptions),
    interceptors: [
      endsInTime,
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
  keepsContextWhileCalling(connection);
  return connection;
}

type Interceptor = ReturnType<typeof makeGrpcRetryInterceptor>;

/** How long a call may take, its tries together. */
export const CALL_MS_MAX = 5_000;
/** Where somebody waits for the answer, and where a server takes its time. */
const CALL_MS_MAX_BY_METHOD: Readonly<Record<string, number>> = {
  '/grpc.health.v1.Health/Check': 1_000,
  '/temporal.api.workflowservice.v1.WorkflowService/QueryWorkflow': 2_000,
  '/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes': 10_000,
  '/temporal.api.operatorservice.v1.OperatorService/AddSearchAttributes': 10_000,
};

const endsInTime: Interceptor = (options, nextCall) => {
  const msMax = CALL_MS_MAX_BY_METHOD[options.method_definition.path] ?? CALL_MS_MAX;
  return nextCall({ ...options, deadline: Date.now() + msMax }) as ReturnType<Interceptor>;
};

/**
 * The SDK hands a call's metadata on through an AsyncLocalStorage. Before Node.js 24, the first use of
 * one makes every promise of the process dearer: a fifth of what the ingress spends on an event. The SDK
 * reads the metadata in the same turn in which it sets it, so a variable does. A deadline that is set with
 * the SDK's `withDeadline` is forgotten at the first `await`: every call has one already.
 */
function keepsContextWhileCalling({ callContextStorage }: Connection): void {
  type Context = ReturnType<typeof callContextStorage.getStore>;
  let current: Context;
  Object.assign(callContextStorage, {
    getStore: () => current,
    run: <Result>(context: Context, call: () => Result): Result => {
      const before = current;
      current = context;
      try {
        return call();
      } finally {
        current = before;
      }
    },
  });
}

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

/**
 * Resolves when the server answers that it serves.
 * @throws TidegateError `temporal_unavailable`.
 */
export async function pingTemporal(connection: Connection): Promise<void> {
  try {
    await connection.healthService.check({
      service: 'temporal.api.workflowservice.v1.WorkflowService',
    });
  } catch (error) {
    throw new TidegateError(
      'temporal_unavailable',
      `Temporal does not answer: ${messageOf(error)}. Accepted events wait in the journal.`,
      { cause: error },
    );
  }
}
