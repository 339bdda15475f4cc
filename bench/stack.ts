/** What every benchmark runs on: a durable Temporal and a durable PostgreSQL of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../src/model/protocol.ts';
import { findTemporalCli } from '../src/temporal-cli.ts';
import { freePort } from '../test/support/free-port.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { node, start, stop, stopAll, untilReady } from './processes.ts';
import { WEBHOOK_SECRET } from './signed.ts';

export interface Stack {
  readonly address: string;
  readonly client: Client;
  createDatabase(): Promise<string>;
  remove(): Promise<void>;
}

/** Both sides of a comparison keep what they acknowledge: Temporal in its file database, PostgreSQL with fsync. */
export async function startStack(): Promise<Stack> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-'));
  const postgres = await startPostgres({ durable: true });
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  start(
    [
      await findTemporalCli(process.env),
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'never'],
      ...['--port', String(port), '--db-filename', join(directory, 'temporal.db')],
      ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
      ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
    ],
    {},
  );
  const client = await connect(address);
  return {
    address,
    client,
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
  readonly url: string;
  /** The worker's process id, to look at its memory. */
  readonly workerPid: number;
  readonly ingressPid: number;
  readonly databaseUrl: string;
  readonly stop: () => Promise<void>;
}

/** An ingress and a worker of bench/project, each a process of its own, on a new database. */
export async function startTidegate(stack: Stack): Promise<RunningTidegate> {
  const port = await freePort();
  const databaseUrl = await stack.createDatabase();
  const env = {
    PORT: String(port),
    TEMPORAL_ADDRESS: stack.address,
    DATABASE_URL: databaseUrl,
    TIDEGATE_SOURCE_BENCH_SECRET: WEBHOOK_SECRET,
    LOG_LEVEL: 'warn',
    TIDEGATE_AUTH: 'none',
  };
  const [ingress, worker] = (['ingress', 'worker'] as const).map((role) =>
    start(node('src/cli/main.ts', role, 'bench/project'), env),
  );
  if (ingress?.pid === undefined || worker?.pid === undefined)
    throw new Error('no process started');
  const url = `http://127.0.0.1:${port}`;
  await untilReady(`${url}/readyz`);
  return {
    url,
    workerPid: worker.pid,
    ingressPid: ingress.pid,
    databaseUrl,
    stop: async () => void (await Promise.all([ingress, worker].map(stop))),
  };
}

/** The handler that one writes by hand, with its worker. */
export async function startNaive(
  address: string,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const port = await freePort();
  const env = { PORT: String(port), TEMPORAL_ADDRESS: address };
  const processes = [
    start(node('bench/naive/worker.ts'), env),
    start(node('bench/naive/server.ts'), env),
  ];
  const url = `http://127.0.0.1:${port}`;
  await untilReady(`${url}/readyz`);
  return { url, stop: async () => void (await Promise.all(processes.map(stop))) };
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
