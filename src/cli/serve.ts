import { Registry } from 'prom-client';
import { assertAuth, assertDatabase, readConfig, withEnvFile } from '../config.ts';
import { startIngress } from '../ingress/main.ts';
import { openJournal } from '../journal/open.ts';
import { loopbackAddress } from '../metrics/temporal-metrics.ts';
import { workerMetrics } from '../metrics/worker-metrics.ts';
import { LIMITS } from '../model/limits.ts';
import { createLogger } from '../telemetry.ts';
import { lazyConnection } from '../temporal.ts';
import { installTemporalRuntime, type RunningWorker, startWorker } from '../worker.ts';
import { ingressOptions } from './ingress.ts';
import { journalOptions } from './outside.ts';
import { loadProject } from './project.ts';
import { untilStopped } from './signals.ts';
import { whenTemporalAnswers } from './when-temporal-answers.ts';
import { watchBuild, workerOptions } from './worker.ts';

/**
 * `tidegate serve [dir]`: ingress and worker in one process, of which there may be several. Runs begin in the
 * process that dispatches them, without a way round over Temporal's queue.
 */
export async function serve(directory: string): Promise<void> {
  const env = withEnvFile(directory, process.env);
  const config = readConfig(env);
  assertAuth(config);
  assertDatabase(config, 'serve');
  const logger = createLogger({ level: config.logLevel });
  const project = await loadProject(directory);
  const sdkMetrics = await loopbackAddress();
  installTemporalRuntime(logger, sdkMetrics);
  const journal = await openJournal({ logger, ...journalOptions(config, env) });
  const registry = new Registry();
  const metrics = workerMetrics(registry);
  const options = await workerOptions({ env, config, project, journal, metrics, logger });
  const connection = lazyConnection(options.temporal);
  let worker: RunningWorker | undefined;
  // What is accepted before Temporal answers waits in the journal.
  const ingress = await startIngress({
    ...ingressOptions({ directory, env, config, project }),
    connectors: options.connectors,
    // A build that is pinned, or not the current one, is Temporal's to choose.
    workerConnection: () => (options.version === undefined ? worker?.connection : undefined),
    checks: {
      worker: async () => {
        if (worker === undefined) throw new Error('it waits for Temporal');
      },
    },
    journal,
    registry,
    sdkMetrics,
    logger,
  });
  logger.info({ url: ingress.url }, 'ingress listens');
  const work = whenTemporalAnswers(
    () =>
      startWorker({
        ...options,
        onAppended: ingress.offer,
        startsMax: LIMITS.dispatchConcurrencyMax,
      }),
    logger,
  ).then((started) => {
    worker = started;
    logger.info('worker polls');
    return started.ended;
  });
  const standing = watchBuild(options, { connection, metrics });
  await untilStopped(work);
  await ingress.stop();
  await worker?.stop();
  await standing?.stop();
  await connection.close();
  await journal.close();
}
