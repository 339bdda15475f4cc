import { join } from 'node:path';
import { Registry } from 'prom-client';
import { type Config, readConfig, withEnvFile } from '../config.ts';
import { bindConnectors } from '../connectors/bind-connectors.ts';
import { type RunningIngress, startIngress } from '../ingress/main.ts';
import { bindSources } from '../ingress/source.ts';
import { openJournal } from '../journal/open.ts';
import { workerMetrics } from '../metrics/worker-metrics.ts';
import { LIMITS } from '../model/limits.ts';
import { createLogger } from '../telemetry.ts';
import { findTemporalCli } from '../temporal-cli.ts';
import { bundleFlows, installTemporalRuntime, startWorker } from '../worker.ts';
import { type DevelopmentKey, developmentKey } from './development-key.ts';
import { devLinkSecret } from './link-secret.ts';
import { decoding, journalOptions, retention, temporalTarget } from './outside.ts';
import { assertPortsFree } from './ports.ts';
import { loadProject, type Project } from './project.ts';
import { untilStopped } from './signals.ts';
import { type DevServer, endLeftover, startDevServer } from './temporal-dev-server.ts';

/**
 * `tidegate dev [dir]`: everything in one process tree: journal, ingress, dispatcher, worker and,
 * unless the environment names one, a Temporal dev server.
 */
export async function dev(directory: string): Promise<void> {
  const env = withEnvFile(directory, process.env);
  const config = withLinkSecret(readConfig(env));
  const logger = createLogger({ level: config.logLevel, pretty: process.stdout.isTTY });
  const startedAt = Date.now();
  say(`Tidegate starts ${directory} …`);
  const project = await loadProject(directory);
  const sources = bindSources(project.sources, env);
  if (!config.externalTemporal) await endLeftover(config.directory);
  await assertPortsFree(neededPorts(config));

  installTemporalRuntime(logger);
  const temporal = temporalTarget(config, env);
  // The journal's lock keeps a second process away before this one starts a Temporal on its files.
  const [journal, bundle] = await Promise.all([
    openJournal({ logger, ...journalOptions(config, env) }),
    bundleFlows(project.flowsPath, logger, temporal.dataConverter),
  ]);
  const devServer = await startTemporal(config, env, logger);
  try {
    const connectors = bindConnectors(project.connectors, { env, journal, allowFakes: true });
    const { catalogue, flows } = project;
    const registry = new Registry();
    // Until there is a dispatcher to tell, it finds what flows emit in the journal.
    let offer: RunningIngress['offer'] = () => {};
    let listens: (url: string) => void = () => {};
    const url = new Promise<string>((resolve) => {
      listens = resolve;
    });
    const worker = await startWorker({
      temporal,
      journal,
      connectors,
      catalogue,
      flows,
      onAppended: (appended) => offer(appended),
      startsMax: LIMITS.dispatchConcurrencyMax,
      links: { secrets: config.linkSecrets, publicUrl: config.publicUrl ?? url },
      bundle,
      metrics: workerMetrics(registry),
      logger,
    });
    const devKey = developmentKeyOf(config);
    const temporalUiUrl =
      devServer === undefined ? undefined : `http://127.0.0.1:${config.temporalUiPort}`;
    const ingress = await startIngress({
      config,
      journal,
      temporal,
      workerConnection: () => worker.connection,
      catalogue,
      flows,
      sources,
      connectors,
      registry,
      logger,
      ...decoding(env),
      ...retention(config, directory),
      ...(devKey === undefined ? {} : { developmentKey: devKey.key }),
      ...(temporalUiUrl === undefined ? {} : { temporalUiUrl }),
    });
    offer = ingress.offer;
    listens(ingress.url);
    const ms = Date.now() - startedAt;
    say(welcome({ config, project, connectors, url: ingress.url, temporalUiUrl, devKey, ms }));

    await untilStopped(worker.ended);
    say('\nStopping: finishing what is in hand …');
    await ingress.stop();
    await worker.stop();
    await journal.close();
  } finally {
    // It is in a process group of its own: nobody else would end it.
    await devServer?.stop();
  }
  say(`Stopped. Everything is kept in ${config.directory}.`);
}

/** A link must work after a restart, so `dev` keeps what it signs with. */
const withLinkSecret = (config: Config): Config =>
  config.linkSecrets.length > 0
    ? config
    : { ...config, linkSecrets: [devLinkSecret(config.directory)] };

/** Only where nothing says who may call. */
const developmentKeyOf = ({ token, jwt, directory }: Config): DevelopmentKey | undefined =>
  token === undefined && jwt === undefined ? developmentKey(directory) : undefined;

const say = (text: string): void => console.log(text);

const neededPorts = (config: Config) => [
  { port: config.port, host: config.host, use: 'the ingress', variable: 'PORT' },
  ...(config.externalTemporal
    ? []
    : [
        {
          port: config.temporalPort,
          host: '127.0.0.1',
          use: 'Temporal',
          variable: 'TEMPORAL_PORT',
        },
        {
          port: config.temporalUiPort,
          host: '127.0.0.1',
          use: 'the Temporal Web UI',
          variable: 'TEMPORAL_UI_PORT',
        },
      ]),
];

async function startTemporal(
  config: Config,
  env: Parameters<typeof findTemporalCli>[0],
  logger: ReturnType<typeof createLogger>,
): Promise<DevServer | undefined> {
  if (config.externalTemporal) return undefined;
  return startDevServer({
    executable: await findTemporalCli(env),
    port: config.temporalPort,
    uiPort: config.temporalUiPort,
    directory: config.directory,
    ...(decoding(env).decode && { codecUrl: `http://127.0.0.1:${config.port}/codec` }),
    logger,
  });
}

function welcome(ready: {
  readonly config: Config;
  readonly project: Project;
  readonly connectors: readonly { readonly name: string; readonly mode: string }[];
  readonly url: string;
  readonly temporalUiUrl: string | undefined;
  readonly devKey: DevelopmentKey | undefined;
  readonly ms: number;
}): string {
  const { config, project, url } = ready;
  const connectors = ready.connectors.map(({ name, mode }) =>
    mode === 'fake' ? `${name} (fake)` : name,
  );
  return [
    '',
    `Tidegate is ready (${(ready.ms / 1_000).toFixed(1)} s).`,
    '',
    `  Events in      ${url}/events`,
    `  Operator API   ${url}/api/v1/runs`,
    ...(ready.temporalUiUrl === undefined ? [] : [`  Temporal UI    ${ready.temporalUiUrl}`]),
    `  Journal        ${config.databaseUrl === undefined ? join(config.directory, 'journal') : 'PostgreSQL'}`,
    `  Flows          ${project.flows.flows.map(({ name }) => name).join(', ') || 'none'}`,
    `  Connectors     ${connectors.join(', ') || 'none'}`,
    ...keyLines(ready.devKey),
    '',
    'Try it:',
    '',
    ...tryIt(project, url),
    '',
    'Stop with Ctrl-C.',
    '',
  ].join('\n');
}

/** Who is on this machine needs no key; it is for what comes through a tunnel. */
function keyLines(devKey: DevelopmentKey | undefined): readonly string[] {
  if (devKey === undefined) return [];
  const { key, path, isNew } = devKey;
  return isNew
    ? [
        `  Key            ${key}`,
        `                 (not needed from this machine; kept in ${path})`,
      ]
    : [`  Key            kept in ${path}`];
}

/** A request that this project takes, for the example projects; else where to look. */
function tryIt(project: Project, url: string): readonly string[] {
  if (!Object.hasOwn(project.catalogue.contracts, 'user.created')) {
    return [`  curl ${url}/api/v1/flows`];
  }
  const data = '{"userId":"u1","name":"Ada","email":"ada@example.com"}';
  return [
    `  curl -i ${url}/events/user.created \\`,
    "    -H 'Content-Type: application/json' -H 'Idempotency-Key: try-1' \\",
    `    -d '${data}'`,
    `  curl ${url}/api/v1/outbox`,
  ];
}
