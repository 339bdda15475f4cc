/** What every benchmark runs on: a durable Temporal and a durable PostgreSQL of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, TASK_QUEUE } from '../src/model/protocol.ts';
import { findTemporalCli } from '../src/temporal-cli.ts';
import { freePort } from '../test/support/free-port.ts';
import { execute, startPostgres } from '../test/support/postgres.ts';
import {
  node,
  patiently,
  type Restartable,
  restartable,
  start,
  stop,
  stopAll,
  untilReady,
} from './processes.ts';
import { WEBHOOK_SECRET } from './signed.ts';

const { version: clientVersion } = createRequire(import.meta.url)(
  '@temporalio/client/package.json',
) as { readonly version: string };

/** Where `tidegate serve` is, beside another Tidegate on the same Temporal. */
const NAMESPACE_OF_ONE_PROCESS = 'one-process';

/** TASK_QUEUE_TYPE_WORKFLOW of Temporal's API. */
const WORKFLOW_TASK_QUEUE = 1;

export interface Stack {
  readonly address: string;
  readonly client: Client;
  readonly temporalPid: number;
  /** Where Temporal tells of itself. */
  readonly temporalMetricsUrl: string;
  /** Of what is compared: numbers of one version say nothing of another. */
  readonly versions: Readonly<Record<'Node' | 'PostgreSQL' | 'Temporal' | 'Temporal SDK', string>>;
  createDatabase(): Promise<string>;
  remove(): Promise<void>;
}

/** Both sides of a comparison keep what they acknowledge: Temporal in its file database, PostgreSQL with fsync. */
export async function startStack(): Promise<Stack> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-'));
  const postgres = await startPostgres({ durable: true });
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const metricsPort = await freePort();
  const temporal = start(
    [
      await findTemporalCli(process.env),
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'never'],
      ...['--port', String(port), '--metrics-port', String(metricsPort)],
      ...['--db-filename', join(directory, 'temporal.db')],
      ...['--namespace', NAMESPACE_OF_ONE_PROCESS],
      ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
      ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
      // A dev server reads the definitions of search attributes anew at every call, no other server does.
      ...['--dynamic-config-value', 'system.forceSearchAttributesCacheRefreshOnRead=false'],
    ],
    {},
  );
  const client = await connect(address);
  return {
    address,
    client,
    temporalPid: temporal.pid ?? Number.NaN,
    temporalMetricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    versions: {
      Node: process.version.slice(1),
      PostgreSQL: await postgresVersion(await postgres.createDatabase()),
      Temporal: (await client.workflowService.getSystemInfo({})).serverVersion ?? 'unknown',
      'Temporal SDK': clientVersion,
    },
    createDatabase: () => postgres.createDatabase(),
    async remove() {
      await client.connection.close();
      await stopAll();
      await postgres.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface RunningTidegate {
  /** Of the first ingress. */
  readonly url: string;
  /** One of each ingress. */
  readonly urls: readonly string[];
  readonly ingresses: readonly [Restartable, ...Restartable[]];
  readonly workers: readonly [Restartable, ...Restartable[]];
  /** Where the first worker tells of itself. */
  readonly workerMetricsUrl: string;
  readonly databaseUrl: string;
  /** Of the namespace that its runs are in. */
  readonly client: Client;
  readonly stop: () => Promise<void>;
}

export interface TidegateOptions {
  /** @default bench/project */
  readonly project?: string;
  /** What the flows of bench/project call. @default nothing is there */
  readonly receiverUrl?: string;
  /** `tidegate serve`: both roles in each process, of which there are as many as ingresses. @default a process each */
  readonly inOneProcess?: boolean;
  /** @default 1 */
  readonly ingresses?: number;
  /** @default 1 */
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Ingresses and workers, each a process of its own, on a new database; resolves when all are ready. */
export async function startTidegate(
  stack: Stack,
  options: TidegateOptions = {},
): Promise<RunningTidegate> {
  const {
    project = 'bench/project',
    receiverUrl = 'http://127.0.0.1:9',
    inOneProcess = false,
  } = options;
  const namespace = inOneProcess ? NAMESPACE_OF_ONE_PROCESS : 'default';
  const databaseUrl = await stack.createDatabase();
  const ports = await Promise.all(Array.from({ length: options.ingresses ?? 1 }, freePort));
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const env = {
    TEMPORAL_ADDRESS: stack.address,
    DATABASE_URL: databaseUrl,
    TIDEGATE_SOURCE_BENCH_SECRET: WEBHOOK_SECRET,
    TIDEGATE_HTTP_BASE_URL: receiverUrl,
    LOG_LEVEL: 'warn',
    TIDEGATE_AUTH: 'none',
    TEMPORAL_NAMESPACE: namespace,
    ...options.env,
  };
  const process = (role: 'serve' | 'ingress' | 'worker', own: Readonly<Record<string, string>>) =>
    restartable(node('src/cli/main.ts', role, project), { ...env, ...own });
  const ingresses = ports.map((port) =>
    process(inOneProcess ? 'serve' : 'ingress', { PORT: String(port) }),
  );
  const metricsPorts = await Promise.all(Array.from({ length: options.workers ?? 1 }, freePort));
  const workers = inOneProcess
    ? ingresses
    : metricsPorts.map((port) => process('worker', { METRICS_PORT: String(port) }));
  await Promise.all([
    ...urls.map((url) => untilReady(`${url}/readyz`)),
    ...workers.map((worker) => untilPolling(stack, worker.pid(), namespace)),
  ]);
  return {
    url: String(urls[0]),
    urls,
    ingresses: ingresses as [Restartable],
    workers: workers as [Restartable],
    workerMetricsUrl: `${inOneProcess ? urls[0] : `http://127.0.0.1:${metricsPorts[0]}`}/metrics`,
    databaseUrl,
    client: new Client({ connection: stack.client.connection, namespace }),
    stop: async () =>
      void (await Promise.all([...new Set([...ingresses, ...workers])].map((one) => one.stop()))),
  };
}

/** Until a worker of this process polls for workflow tasks: the SDK names it by its process id. */
export const untilPolling = (stack: Stack, pid: number, namespace = 'default'): Promise<void> =>
  patiently(
    `worker ${pid} to poll`,
    async () => {
      const { pollers } = await stack.client.workflowService.describeTaskQueue({
        namespace,
        taskQueue: { name: TASK_QUEUE },
        taskQueueType: WORKFLOW_TASK_QUEUE,
      });
      return pollers?.some(({ identity }) => identity?.startsWith(`${pid}@`)) ? true : undefined;
    },
    { withinMs: 60_000, everyMs: 20 },
  ).then(() => {});

export interface RunningNaive {
  readonly url: string;
  readonly handlerPid: number;
  readonly workerPid: number;
  readonly stop: () => Promise<void>;
}

/** The handler that one writes by hand, with its worker. */
export async function startNaive(
  stack: Stack,
  receiverUrl = 'http://127.0.0.1:9',
): Promise<RunningNaive> {
  const port = await freePort();
  const env = {
    PORT: String(port),
    TEMPORAL_ADDRESS: stack.address,
    RECEIVER_URL: receiverUrl,
  };
  const worker = start(node('bench/naive/worker.ts'), env);
  const handler = start(node('bench/naive/server.ts'), env);
  const url = `http://127.0.0.1:${port}`;
  await untilReady(`${url}/readyz`);
  return {
    url,
    handlerPid: handler.pid ?? Number.NaN,
    workerPid: worker.pid ?? Number.NaN,
    stop: async () => void (await Promise.all([worker, handler].map(stop))),
  };
}

async function postgresVersion(databaseUrl: string): Promise<string> {
  const [row] = await execute(databaseUrl, 'show server_version');
  return String(row?.server_version);
}

async function connect(address: string): Promise<Client> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: '2s' });
      return new Client({ connection });
    } catch (error) {
      if (attempt > 20) throw error;
      await sleep(500);
    }
  }
}
