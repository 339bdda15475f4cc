import { readConfig, withEnvFile } from '../config.ts';
import { bindConnectors } from '../connectors/bind-connectors.ts';
import { openJournal } from '../journal/open.ts';
import { TidegateError } from '../model/error.ts';
import { createLogger } from '../telemetry.ts';
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
  const journal = await openJournal({ logger, ...journalOptions(config) });
  const options = {
    temporal: temporalTarget(config, env),
    journal,
    connectors: bindConnectors(project.connectors, {
      env,
      journal,
      allowFakes: env.TIDEGATE_ALLOW_FAKES === 'true',
    }),
    catalogue: project.catalogue,
    flows: project.flows,
    links: linkOptions(config),
    bundle: await bundleFlows(project.flowsPath, logger),
    logger,
  };
  const running = await whenTemporalAnswers(() => startWorker(options), logger);
  logger.info('worker polls');
  await untilStopped(running.ended);
  await running.stop();
  await journal.close();
}
