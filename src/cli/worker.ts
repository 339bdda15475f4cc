import type { Connection } from '@temporalio/client';
import { Registry } from 'prom-client';
import { createAccess } from '../access/authenticate.ts';
import {
  assertDatabase,
  type Config,
  type Environment,
  readConfig,
  withEnvFile,
} from '../config.ts';
import { bindConnectors } from '../connectors/bind-connectors.ts';
import { isLoopback } from '../http/loopback.ts';
import type { Journal } from '../journal/journal.ts';
import { openJournal } from '../journal/open.ts';
import { processMetrics } from '../metrics/process-metrics.ts';
import {
  type MetricsServer,
  type MetricsServerOptions,
  startMetricsServer,
} from '../metrics/server.ts';
import { loopbackAddress, withTemporalMetrics } from '../metrics/temporal-metrics.ts';
import { type WorkerMetrics, workerMetrics } from '../metrics/worker-metrics.ts';
import type { Repetition } from '../repeat.ts';
import { createLogger } from '../telemetry.ts';
import { lazyConnection, pingTemporal } from '../temporal.ts';
import { bundleFlows, installTemporalRuntime, startWorker, type WorkerOptions } from '../worker.ts';
import { watchStanding } from '../worker-deployment.ts';
import { journalOptions, linkOptions, temporalTarget } from './outside.ts';
import { loadProject, type Project } from './project.ts';
import { untilStopped } from './signals.ts';
import { whenTemporalAnswers } from './when-temporal-answers.ts';

/** `tidegate worker [dir]`: flows and operations, beside ingresses of other processes. */
export async function worker(directory: string): Promise<void> {
  const env = withEnvFile(directory, process.env);
  const config = readConfig(env);
  assertDatabase(config, 'worker');
  const logger = createLogger({ level: config.logLevel });
  const project = await loadProject(directory);
  const sdkMetrics = config.metricsPort === undefined ? undefined : await loopbackAddress();
  installTemporalRuntime(logger, sdkMetrics);
  const journal = await openJournal({ logger, ...journalOptions(config, env) });
  const registry = new Registry();
  const metrics = workerMetrics(registry);
  const options = await workerOptions({ env, config, project, journal, metrics, logger });
  const connection = lazyConnection(options.temporal);
  let state: 'starting' | 'polling' | 'stopping' = 'starting';
  const metricsServer = await startMetrics(config, {
    registry,
    sdkMetrics,
    journal,
    logger,
    isStopping: () => state === 'stopping',
    checks: {
      journal: () => journal.ping(),
      // A worker's own state says RUNNING while its server is down.
      temporal: () => pingTemporal(connection),
      worker: async () => {
        if (state !== 'polling') throw new Error('it waits for Temporal');
      },
    },
  });
  const running = await whenTemporalAnswers(() => startWorker(options), logger);
  state = 'polling';
  logger.info('worker polls');
  const standing = watchBuild(options, { connection, metrics });
  await untilStopped(running.ended);
  state = 'stopping';
  await running.stop();
  await standing?.stop();
  await metricsServer?.stop();
  await connection.close();
  await journal.close();
}

/** Watches what Temporal does with the build that this worker is; undefined where it is none. */
export const watchBuild = (
  { version, temporal: { namespace }, logger }: WorkerOptions,
  { connection, metrics }: { readonly connection: Connection; readonly metrics: WorkerMetrics },
): Repetition | undefined =>
  version && watchStanding({ connection, namespace, version, tell: metrics.standing, logger });

/** What a worker of a project is. */
export async function workerOptions({
  env,
  config,
  project,
  ...own
}: Pick<WorkerOptions, 'journal' | 'logger'> & {
  readonly env: Environment;
  readonly config: Config;
  readonly project: Project;
  readonly metrics: WorkerMetrics;
}): Promise<WorkerOptions> {
  const temporal = temporalTarget(config, env);
  const { workerVersion, operationsMax, cachedRunsMax, taskQueue } = config;
  const isVersioned = workerVersion !== undefined;
  return {
    ...own,
    temporal,
    connectors: bindConnectors(project.connectors, {
      env,
      journal: own.journal,
      allowFakes: env.TIDEGATE_ALLOW_FAKES === 'true',
    }),
    catalogue: project.catalogue,
    flows: project.flows,
    links: linkOptions(config),
    bundle: await bundleFlows(project.flowsPath, own.logger, temporal.dataConverter, isVersioned),
    ...(workerVersion && { version: workerVersion }),
    ...(operationsMax && { operationsMax }),
    ...(cachedRunsMax && { cachedRunsMax }),
    ...(taskQueue === undefined ? {} : { taskQueue }),
  };
}

/** `/metrics` and health, where METRICS_PORT names a port for them. */
async function startMetrics(
  { metricsPort, metricsToken, host, token, jwt }: Config,
  {
    registry,
    sdkMetrics,
    journal,
    ...health
  }: Pick<MetricsServerOptions, 'checks' | 'isStopping' | 'logger'> & {
    readonly registry: Registry;
    readonly sdkMetrics: string | undefined;
    readonly journal: Journal;
  },
): Promise<MetricsServer | undefined> {
  processMetrics(registry);
  if (metricsPort === undefined || sdkMetrics === undefined) return undefined;
  const access = createAccess({
    keys: journal.apiKeys,
    local: isLoopback(host),
    logger: health.logger,
    ...(token === undefined ? {} : { token }),
    ...(jwt === undefined ? {} : { jwt }),
  });
  const server = await startMetricsServer(withTemporalMetrics(registry, sdkMetrics), {
    host,
    port: metricsPort,
    access,
    ...health,
    ...(metricsToken === undefined ? {} : { token: metricsToken }),
  });
  health.logger.info({ port: metricsPort }, 'metrics can be scraped');
  return server;
}
