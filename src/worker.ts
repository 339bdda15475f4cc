/**
 * `tidegate/worker`: runs flows and the operations of connectors. As a process it is `tidegate
 * worker`; in the process of `tidegate dev` it shares the embedded journal.
 */
import { fileURLToPath } from 'node:url';
import type { DataConverter, WorkerDeploymentVersion } from '@temporalio/common';
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
import { dataByReference, withDataByReference } from './dataref/index.ts';
import { type EmitContext, emitActivities } from './ingress/emit.ts';
import type { AppendedDelivery } from './ingress/exchange.ts';
import type { Journal } from './journal/journal.ts';
import { runLane } from './journal/lanes.ts';
import type { WorkerMetrics } from './metrics/worker-metrics.ts';
import type { BoundConnector } from './model/connector.ts';
import { messageOf, TidegateError } from './model/error.ts';
import { TASK_QUEUE } from './model/protocol.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import type { Logger } from './telemetry.ts';
import { lazyConnection, type TemporalTarget } from './temporal.ts';

export interface WorkerOptions {
  readonly temporal: TemporalTarget;
  readonly journal: Journal;
  readonly connectors: readonly BoundConnector[];
  /** What flows can emit, and which flows take it. */
  readonly catalogue: EmitContext['catalogue'];
  readonly flows: EmitContext['flows'];
  /** Told of what flows emit, where the dispatcher is in this process. @default dispatchers are woken by the journal */
  readonly onAppended?: EmitContext['onAppended'];
  /** What makes approval links. @default an operation that sends one parks, and says what to set */
  readonly links?: LinkOptions;
  /** What {@link bundleFlows} gave. */
  readonly bundle: { readonly code: string };
  readonly logger: Logger;
  /** What counts operations and parks. @default nothing does */
  readonly metrics?: WorkerMetrics;
  readonly taskQueue?: string;
  /** How many operations run at a time. @default 200 */
  readonly operationsMax?: number;
  /** How many runs a dispatcher in this process begins here at a time. @default 0 */
  readonly startsMax?: number;
  /** How many runs stay in memory between their tasks. @default 600 for each GB of heap above 200 MB */
  readonly cachedRunsMax?: number;
  /** What build of which deployment this is; the bundle was made with it. @default unversioned */
  readonly version?: WorkerDeploymentVersion;
}

export interface RunningWorker {
  /** Who shares it to begin runs gets them begun in this worker. Open until the worker has ended. */
  readonly connection: NativeConnection;
  /** Settles when the worker has ended, also when something in hand did not end in time; rejects when it failed. */
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
  let isStopping = false;
  const ended = worker
    .run()
    .finally(() => connection.close())
    .catch((error: unknown) => {
      if (!isStopping) throw error;
      // As when a worker dies: Temporal gives it to another, which knows what has been done.
      options.logger.warn(
        { reason: messageOf(error) },
        'stopped before all that was in hand had ended; it is taken up again',
      );
    });
  return {
    connection,
    ended,
    async stop() {
      isStopping = true;
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    },
  };
}

/** The SDK's own number: all that it has in hand is to be done within the ten seconds of a workflow task. */
const WORKFLOW_TASKS_MAX = 40;

function createWorker(options: WorkerOptions, connection: NativeConnection): Promise<Worker> {
  const { journal, metrics } = options;
  const operations = operationActivities(options.connectors, {
    logger: options.logger,
    now: Date.now,
    random: Math.random,
    writeLinks: linkWriter(journal, options.links ?? { secrets: [] }),
    journal,
  });
  return Worker.create({
    connection,
    namespace: options.temporal.namespace,
    taskQueue: options.taskQueue ?? TASK_QUEUE,
    workflowBundle: options.bundle,
    ...(options.version && {
      workerDeploymentOptions: {
        version: options.version,
        useWorkerVersioning: true,
        // A changed body must not meet the history of a run that it does not fit, unless its flow says so.
        defaultVersioningBehavior: 'PINNED',
      },
    }),
    dataConverter: withDataByReference(options.temporal.dataConverter, dataByReference(journal)),
    activities: {
      ...(metrics?.noting(journal.activities) ?? journal.activities),
      ...emitActivities({
        onAppended: wakeDispatchers(options.journal),
        now: () => new Date(),
        ...(metrics && { observer: metrics.observer }),
        ...options,
      }),
      ...(metrics?.operating(operations) ?? operations),
    },
    // An operation waits for another system and costs next to nothing meanwhile: twice the SDK's 100, so that a slow
    // system leaves room for others. How much one is asked is its connector's `rateLimit`.
    maxConcurrentActivityTaskExecutions: options.operationsMax ?? 200,
    // Writes of the journal: each holds the workflow task of its run.
    maxConcurrentLocalActivityExecutions: 200,
    ...(options.cachedRunsMax !== undefined && { maxCachedWorkflows: options.cachedRunsMax }),
    // As the SDK has it, and for each run that is begun here one while Temporal is asked and one while it is told
    // what came of the first task. Without room Temporal hands that to any worker: one more write, and a way
    // through its queue.
    maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS_MAX + 2 * (options.startsMax ?? 0),
    // Left to the SDK on purpose: 10 polls, one thread. One thread evaluates all flows, and it is what is used up
    // first; more workers help where more tasks in hand would not.
    // Heartbeats bring an operation the news that it was cancelled.
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '2 seconds',
    shutdownGraceTime: '5 seconds',
    shutdownForceTime: '10 seconds',
  });
}

/** Where no dispatcher is in this process. One that does not hear of it finds it at its next poll. */
const wakeDispatchers =
  (journal: Journal) =>
  (appended: readonly AppendedDelivery[]): void => {
    const lanes = new Set(appended.map(({ target }) => runLane(target.run)));
    journal.wake([...lanes]).catch(() => {});
  };

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
 * @param dataConverter that of the worker which will run them. @default nothing is encrypted
 * @param isVersioned whether that worker has a build id. @default it has none
 */
export const bundleFlows = (
  flowsPath: string,
  logger: Logger,
  dataConverter: DataConverter = {},
  isVersioned = false,
): Promise<{ readonly code: string }> =>
  bundleWorkflowCode({
    workflowsPath: flowsPath,
    ...(dataConverter.failureConverterPath && {
      failureConverterPath: dataConverter.failureConverterPath,
    }),
    // Evaluated once per thread instead of once per run: memory and time per run, and one
    // AsyncLocalStorage for all of them. The engine keeps no state in its modules.
    preloadModules: [workflowsFile('index')],
    webpackConfigHook: (config) => ({
      ...config,
      resolve: {
        ...config.resolve,
        ...(isVersioned && { alias: { ...config.resolve?.alias, ...VERSIONED } }),
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

const workflowsFile = (name: string): string =>
  fileURLToPath(new URL(`./workflows/${name}.${isFromSource() ? 'ts' : 'js'}`, import.meta.url));

const VERSIONED = {
  [workflowsFile('worker-versioning')]: workflowsFile('worker-versioning-on'),
};

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

/**
 * Sends what the SDK and its core log to our logger. Once per process, before the first worker.
 *
 * @param metricsAddress where the core answers `/metrics`. @default nowhere
 */
export function installTemporalRuntime(logger: Logger, metricsAddress?: string): void {
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
      ...(metricsAddress !== undefined && {
        metrics: {
          prometheus: {
            bindAddress: metricsAddress,
            // As Prometheus names things, and as our own series are named.
            countersTotalSuffix: true,
            unitSuffix: true,
            useSecondsForDurations: true,
          },
        },
      }),
    },
    // The process decides about its end: the SDK's handler would leave Express running.
    shutdownSignals: [],
  });
}

/** Of what the SDK tells with a message, what may be logged. */
export const loggable = (meta: object): object => ({
  ...Object.fromEntries(
    Object.entries(meta)
      .filter(([key]) =>
        ['workflowId', 'runId', 'workflowType', 'activityType', 'attempt', 'error'].includes(key),
      )
      .map(([key, value]) => [key, key === 'error' ? withoutWords(value) : value]),
  ),
  ...changedFlow(meta),
});

/** What the SDK's core tells when a flow's code no longer fits the history of an open run: names of steps. */
function changedFlow({ failure }: { readonly failure?: unknown }): object {
  const [, mismatch] = /Nondeterminism error: ([^"]*)/.exec(String(failure)) ?? [];
  return mismatch === undefined ? {} : { code: 'flow_changed', mismatch };
}

/** Where an error came from. Its message is made by flows, of data; the history has it. */
function withoutWords(error: unknown): object {
  const { name, type, stack, cause } = (error ?? {}) as Partial<Record<string, unknown>>;
  const frames = String(stack ?? '').match(/^ {4}at .*$/gm);
  return {
    ...(typeof name === 'string' && { name }),
    ...(typeof type === 'string' && { type }),
    ...(TidegateError.is(error) && { code: error.code }),
    // Ours: it names the key that is to be added, or the event that the journal has lost.
    ...((TidegateError.is(error, 'encryption_key_unknown') ||
      TidegateError.is(error, 'event_data_missing')) && { message: error.message }),
    ...(frames && { at: frames.slice(0, 10).map((frame) => frame.trim()) }),
    ...(cause === undefined ? {} : { cause: withoutWords(cause) }),
  };
}
