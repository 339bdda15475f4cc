/**
 * `npm run bench`: acknowledgements and history cost, beside a handler that one writes by hand, in
 * one run against one Temporal server. Ratios are what carries over to another machine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../src/model/protocol.ts';
import { findTemporalCli } from '../src/temporal-cli.ts';
import { freePort } from '../test/support/free-port.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { type LoadResult, load } from './load.ts';
import { node, start, stop, stopAll, untilReady } from './processes.ts';
import { printTable } from './table.ts';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 64);

interface Target {
  readonly name: string;
  /** Starts server and worker; returns their base URL and how to end them. */
  readonly start: () => Promise<{ readonly url: string; readonly stop: () => Promise<void> }>;
  readonly hotWorkflowId: string;
}
interface Row {
  readonly target: string;
  readonly keys: 'one hot key' | 'distinct keys';
  readonly result: LoadResult;
  readonly historyPer1000?: number;
}

const directory = mkdtempSync(join(tmpdir(), 'tidegate-bench-'));
const temporalPort = await freePort();
const address = `127.0.0.1:${temporalPort}`;

// Both sides keep what they acknowledge: Temporal in its file database, PostgreSQL with fsync.
async function startTemporal(): Promise<Client> {
  start(
    [
      await findTemporalCli(process.env),
      ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--log-level', 'never'],
      ...['--port', String(temporalPort), '--db-filename', join(directory, 'temporal.db')],
      ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
      ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
    ],
    {},
  );
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

const naive: Target = {
  name: 'naive',
  hotWorkflowId: 'naive:hot',
  async start() {
    const port = await freePort();
    const env = { PORT: String(port), TEMPORAL_ADDRESS: address };
    const processes = [
      start(node('bench/naive/worker.ts'), env),
      start(node('bench/naive/server.ts'), env),
    ];
    const url = `http://127.0.0.1:${port}`;
    await untilReady(`${url}/readyz`);
    return { url, stop: async () => void (await Promise.all(processes.map(stop))) };
  },
};

const tidegate = (name: string, databaseUrl: () => Promise<string>): Target => ({
  name,
  hotWorkflowId: 'dealDigest:default:hot',
  async start() {
    const port = await freePort();
    const env = {
      PORT: String(port),
      TEMPORAL_ADDRESS: address,
      DATABASE_URL: await databaseUrl(),
      LOG_LEVEL: 'warn',
    };
    const processes = ['ingress', 'worker'].map((role) =>
      start(node('src/cli/main.ts', role, 'bench/project'), env),
    );
    const url = `http://127.0.0.1:${port}`;
    await untilReady(`${url}/readyz`);
    return { url, stop: async () => void (await Promise.all(processes.map(stop))) };
  },
});

/** History events of every execution of a workflow id, once the last has ended. */
async function historyEvents(client: Client, workflowId: string): Promise<number> {
  const end = Date.now() + 120_000;
  for (;;) {
    let events = 0;
    let isRunning = false;
    for await (const info of client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
      events += info.historyLength;
      isRunning ||= info.status.name === 'RUNNING';
    }
    if (!isRunning && events > 0) return events;
    if (Date.now() > end) throw new Error(`${workflowId} still runs`);
    await sleep(1_000);
  }
}

async function measure(client: Client, target: Target): Promise<readonly Row[]> {
  const { url, stop: stopTarget } = await target.start();
  const at = { url, connections: CONNECTIONS };
  console.log(`${target.name}: warming up`);
  await load({ ...at, seconds: 2, key: () => 'warm', prefix: 'warm' });
  await sleep(4_000);
  console.log(`${target.name}: one hot key`);
  const hot = await load({ ...at, seconds: SECONDS, key: () => 'hot', prefix: 'hot' });
  console.log(`${target.name}: waiting for the window to close`);
  const history = await historyEvents(client, target.hotWorkflowId);
  console.log(`${target.name}: distinct keys`);
  const distinct = await load({
    ...at,
    seconds: SECONDS,
    key: (n) => `deal-${n}`,
    prefix: 'distinct',
  });
  await stopTarget();
  return [
    {
      target: target.name,
      keys: 'one hot key',
      result: hot,
      historyPer1000: (1_000 * history) / hot.accepted,
    },
    { target: target.name, keys: 'distinct keys', result: distinct },
  ];
}

function report(rows: readonly Row[]): void {
  const naiveOf = (keys: Row['keys']) =>
    rows.find((row) => row.target === naive.name && row.keys === keys);
  printTable(
    ['', 'keys', 'ack/s', '× naive', 'p50 ms', 'p99 ms', 'refused', 'history events per 1,000'],
    rows.map(({ target, keys, result, historyPer1000 }) => [
      target,
      keys,
      result.acknowledgementsPerSecond.toFixed(0),
      (
        result.acknowledgementsPerSecond /
        (naiveOf(keys)?.result.acknowledgementsPerSecond ?? Number.NaN)
      ).toFixed(1),
      result.p50Ms.toFixed(0),
      result.p99Ms.toFixed(0),
      String(result.failed),
      historyPer1000?.toFixed(1) ?? '',
    ]),
  );
}

const postgres = await startPostgres({ durable: true });
try {
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}, ${CONNECTIONS} connections, ${SECONDS} s a row; everything shares these processors\n`,
  );
  const client = await startTemporal();
  const rows = [
    ...(await measure(client, naive)),
    ...(await measure(
      client,
      tidegate('tidegate', () => postgres.createDatabase()),
    )),
  ];
  console.log('');
  report(rows);
  await client.connection.close();
} finally {
  await stopAll();
  await postgres.remove();
  rmSync(directory, { recursive: true, force: true });
}
process.exit(0);
