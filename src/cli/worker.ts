import { Registry } from 'prom-client';
import { createAccess } from '../access/authenticate.ts';
import { type Config, readConfig, withEnvFile } from '../config.ts';
import { bindConnectors } from '../connectors/bind-connectors.ts';
import { isLoopback } from '../http/loopback.ts';
import type { Journal } from '../journal/journal.ts';
import { openJournal } from '../journal/open.ts';
import { processMetrics } from '../metrics/process-metrics.ts';
import { type MetricsServer, startMetricsServer } from '../metrics/server.ts';
import { workerMetrics } from '../metrics/worker-metrics.ts';
import { TidegateError } from '../model/error.ts';
import { createLogger, type Logger } from '../telemetry.ts';
import { bundleFlows, installTemporalRuntime, startWorker } from '../worker.ts';
import { journalOptions, linkOptions, temporalTarget } from './outside.ts';
import { loadProject } from './project.ts';
import { untilStopped } from './signals.ts';
import { whenTemporalAnswers } from './when-temporal-answers.ts';

/** `tidegate worker [dir]`: flows and operations, beside ingresses of other processes. */
export async function worker(directory: string): Promise<void> {
  const env = withEnvFile(directory, process.env);
  const config = readConfig(env);
  if (config.databaseUrl === undefined) {
    throw new TidegateError(
      'config_invalid',
      'A worker process needs DATABASE_URL: the embedded journal belongs to one process, use `tidegate dev`.',
    );
  }
  const logger = createLogger({ level: config.logLevel });
  const project = await loadProject(directory);
  installTemporalRuntime(logger);
  const journal = await openJournal({ logger, ...journalOptions(config, env) });
  const registry = new Registry();
  const temporal = temporalTarget(config, env);
  const options = {
    temporal,
    journal,
    connectors: bindConnectors(project.connectors, {
      env,
      journal,
      allowFakes: env.TIDEGATE_ALLOW_FAKES === 'true',
    }),
    catalogue: project.catalogue,
    flows: project.flows,
    links: linkOptions(config),
    bundle: await bundleFlows(project.flowsPath, logger, temporal.dataConverter),
    ...(config.taskQueue === undefined ? {} : { taskQueue: config.taskQueue }),
    metrics: workerMetrics(registry),
    logger,
  };
  const metricsServer = await startMetrics(config, { registry, journal, logger });
  const running = await whenTemporalAnswers(() => startWorker(options), logger);
  logger.info('worker polls');
  await untilStopped(running.ended);
  await running.stop();
  await metricsServer?.stop();
  await journal.close();
}

/** `/metrics`, where METRICS_PORT names a port for it. */
async function startMetrics(
  { metricsPort, host, token, jwt }: Config,
  { registry, journal, logger }: { registry: Registry; journal: Journal; logger: Logger },
): Promise<MetricsServer | undefined> {
  processMetrics(registry);
  if (metricsPort === undefined) return undefined;
  const access = createAccess({
    keys: journal.apiKeys,
    local: isLoopback(host),
    logger,
    ...(token === undefined ? {} : { token }),
    ...(jwt === undefined ? {} : { jwt }),
  });
  const server = await startMetricsServer(registry, { host, port: metricsPort, access });
  logger.info({ port: metricsPort }, 'metrics can be scraped');
  return server;
}
