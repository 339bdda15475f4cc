/**
 * `tidegate/worker`: runs flows and the operations of connectors. As a process it is `tidegate
 * worker`; in the process of `tidegate dev` it shares the embedded journal.
 */
import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  type LogLevel,
  makeTelemetryFilterString,
  NativeConnection,
  Runtime,
  Worker,
} from '@temporalio/worker';
import { type LinkOptions, linkWriter } from './activities/approval-links.ts';
import { operationActivities } from './activities/run-operation.ts';
import { type EmitContext, emitActivities } from './ingress/emit.ts';
import type { Journal } from './journal/journal.ts';
import type { BoundConnector } from './model/connector.ts';
import { TASK_QUEUE } from './model/protocol.ts';
import type { Logger } from './telemetry.ts';
import { ensureSearchAttributes, lazyConnection, type TemporalTarget } from './temporal.ts';

export interface WorkerOptions {
  readonly temporal: TemporalTarget;
  readonly journal: Journal;
  readonly connectors: readonly BoundConnector[];
  /** What flows can emit, and which flows take it. */
  readonly catalogue: EmitContext['catalogue'];
  readonly flows: EmitContext['flows'];
  /** Told of what flows emit, where the dispatcher is in this process. @default it looks into the journal */
  readonly onAppended?: EmitContext['onAppended'];
  /** What makes approval links. @default an operation that sends one parks, and says what to set */
  readonly links?: LinkOptions;
  /** What {@link bundleFlows} gave. */
  readonly bundle: { readonly code: string };
  readonly logger: Logger;
  readonly taskQueue?: string;
}

export interface RunningWorker {
  /** Settles when the worker has ended; rejects when it failed. */
  readonly ended: Promise<void>;
  /** Finishes what is in hand, within ten seconds. */
  stop(): Promise<void>;
}

/**
 * Starts a worker; resolves when it polls.
 *
 * @throws TidegateError `temporal_unavailable`; `config_invalid` when the search attributes that
 * every run sets are missing and cannot be registered.
 */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  await registerSearchAttributes(options);
  const connection = await NativeConnection.connect(options.temporal.connection);
  const worker = await createWorker(options, connection).catch(async (error: unknown) => {
    await connection.close();
    throw error;
  });
  const ended = worker.run().finally(() => connection.close());
  return {
    ended,
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    },
  };
}

const createWorker = (options: WorkerOptions, connection: NativeConnection): Promise<Worker> =>
  Worker.create({
    connection,
    namespace: options.temporal.namespace,
    taskQueue: options.taskQueue ?? TASK_QUEUE,
    workflowBundle: options.bundle,
    activities: {
      ...options.journal.activities,
      ...emitActivities({ onAppended: () => {}, now: () => new Date(), ...options }),
      ...operationActivities(options.connectors, {
        logger: options.logger,
        now: Date.now,
        random: Math.random,
        writeLinks: linkWriter(options.journal, options.links ?? { secrets: [] }),
      }),
    },
    // A run's history is short and its workflow small; the cache is bounded by memory.
    maxConcurrentActivityTaskExecutions: 200,
    maxConcurrentLocalActivityExecutions: 200,
    // Heartbeats bring an operation the news that it was cancelled.
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '2 seconds',
    shutdownGraceTime: '5 seconds',
    shutdownForceTime: '10 seconds',
  });

async function registerSearchAttributes({ temporal, logger }: WorkerOptions): Promise<void> {
  const connection = lazyConnection(temporal);
  try {
    const outcome = await ensureSearchAttributes(connection, temporal.namespace);
    if (outcome === 'unchecked') {
      logger.warn('cannot tell whether Temporal has the search attributes that runs set');
    }
  } finally {
    await connection.close();
  }
}

/**
 * The flows of a project as one bundle for Temporal's workflow sandbox.
 *
 * @param flowsPath the project's `flows/index.ts`.
 */
export const bundleFlows = (
  flowsPath: string,
  logger: Logger,
): Promise<{ readonly code: string }> =>
  bundleWorkflowCode({
    workflowsPath: flowsPath,
    // Evaluated once per thread instead of once per run: memory and time per run, and one
    // AsyncLocalStorage for all of them. The engine keeps no state in its modules.
    preloadModules: [fileURLToPath(new URL(engineModule(), import.meta.url))],
    webpackConfigHook: (config) => ({
      ...config,
      resolve: {
        ...config.resolve,
        // From a checkout, `tidegate/flow` is its source; from npm, the condition does not exist.
        conditionNames: [
          ...(isFromSource() ? ['tidegate-source'] : []),
          'node',
          'import',
          'default',
        ],
      },
    }),
    logger: bundleLogger(logger),
  });

const isFromSource = (): boolean => fileURLToPath(import.meta.url).endsWith('.ts');

const engineModule = (): string => `./workflows/index.${isFromSource() ? 'ts' : 'js'}`;

const bundleLogger = (logger: Logger) => {
  const log = (level: LogLevel, message: string): void => {
    if (level === 'ERROR') logger.error(message);
    else if (level === 'WARN') logger.warn(message);
    else logger.debug(message);
  };
  return {
    log,
    trace: (message: string) => log('TRACE', message),
    debug: (message: string) => log('DEBUG', message),
    info: (message: string) => log('INFO', message),
    warn: (message: string) => log('WARN', message),
    error: (message: string) => log('ERROR', message),
  };
};

/** Sends what the SDK and its core log to our logger. Once per process, before the first worker. */
export function installTemporalRuntime(logger: Logger): void {
  Runtime.install({
    logger: {
      ...bundleLogger(logger),
      log: (level, message, meta) => {
        const fields = meta === undefined ? {} : { temporal: loggable(meta) };
        if (level === 'ERROR') logger.error(fields, message);
        else if (level === 'WARN') logger.warn(fields, message);
        else logger.debug(fields, message);
      },
    },
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN' }), forward: {} },
    },
    // The process decides about its end: the SDK's handler would leave Express running.
    shutdownSignals: [],
  });
}

const loggable = (meta: object): object =>
  Object.fromEntries(
    Object.entries(meta).filter(([key]) =>
      ['workflowId', 'runId', 'workflowType', 'activityType', 'attempt', 'error'].includes(key),
    ),
  );
