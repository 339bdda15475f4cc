import { assertAuth, type Config, type Environment, readConfig, withEnvFile } from '../config.ts';
import { readRoutes } from '../dispatch/read-routes.ts';
import { startIngress } from '../ingress/main.ts';
import { bindSources } from '../ingress/source.ts';
import { openJournal } from '../journal/open.ts';
import { createLogger } from '../telemetry.ts';
import { decoding, journalOptions, retention, temporalTarget } from './outside.ts';
import { loadProject, type Project } from './project.ts';
import { untilStopped } from './signals.ts';

/** `tidegate ingress [dir]`: HTTP, journal and dispatch, beside workers of other processes. */
export async function ingress(directory: string): Promise<void> {
  const env = withEnvFile(directory, process.env);
  const config = readConfig(env);
  assertAuth(config);
  const logger = createLogger({ level: config.logLevel });
  const project = await loadProject(directory);
  const journal = await openJournal({ logger, ...journalOptions(config, env) });
  const running = await startIngress({
    ...ingressOptions({ directory, env, config, project }),
    // An ingress calls no outside system; it only lists the connectors.
    connectors: project.connectors.map(({ name, operations }) => ({
      name,
      operations: Object.keys(operations),
    })),
    journal,
    logger,
  });
  logger.info({ url: running.url }, 'ingress listens');
  await untilStopped(new Promise(() => {}));
  await running.stop();
  await journal.close();
}

/** What an ingress of a project is, beside what it writes to. */
export const ingressOptions = ({
  directory,
  env,
  config,
  project,
}: {
  readonly directory: string;
  readonly env: Environment;
  readonly config: Config;
  readonly project: Project;
}) => ({
  config,
  temporal: temporalTarget(config, env),
  ...decoding(env),
  ...retention(config, directory),
  catalogue: project.catalogue,
  flows: project.flows,
  ...(config.routesFile === undefined ? {} : { routes: readRoutes(directory, config.routesFile) }),
  sources: bindSources(project.sources, env),
});
