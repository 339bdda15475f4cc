import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { type Restartable, restartable } from './processes.ts';
import { startProxy, type TcpProxy } from './proxy.ts';

/** A project in production: PostgreSQL, Temporal, an ingress and a worker, each a process of its own. */
export interface System {
  readonly processes: {
    readonly temporal: Restartable;
    readonly ingress: Restartable;
    readonly worker: Restartable;
  };
  /** A second ingress and a second worker, where they were asked for. */
  readonly second: { readonly ingress: Restartable; readonly worker: Restartable } | undefined;
  readonly postgres: TestPostgres;
  readonly journal: Journal;
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  /** Where the ingresses are, in the order of their processes. */
  readonly urls: readonly string[];
  /** What `withFaults` gives, by the names of ingresses and workers. */
  readonly weak: ReadonlyMap<string, WeakPoints>;
  /** Sends until it is accepted, as a sender that does not want to lose an event does. */
  send(type: string, id: string, data: object): Promise<void>;
  /** Every run with something unsettled. */
  unsettled(): Promise<readonly RunRow[]>;
  /** What the processes printed, for a failing test's message. */
  output(): string;
  stop(): Promise<void>;
}

/** Where an ingress or a worker can be hurt from outside. */
export interface WeakPoints {
  readonly postgres: TcpProxy;
  readonly temporal: TcpProxy;
  /** Sets its clock off by this much. */
  skew(ms: number): void;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

export async function startSystem(options: {
  /** A folder of ./fixtures. */
  readonly project: string;
  readonly receiverUrl: string;
  readonly temporalArgs?: readonly string[];
  /** Two ingresses and two workers; events go to the ingresses in turn. @default one of each */
  readonly twoOfEach?: boolean;
  /** Each ingress and its worker are one process, under both names. @default two */
  readonly inOneProcess?: boolean;
  /** @default 'warn' */
  readonly logLevel?: 'info';
  /** More variables of ingresses and workers. */
  readonly env?: Readonly<Record<string, string>>;
  /** PostgreSQL with fsync; ingresses and workers behind proxies, with clocks that can be set. @default false */
  readonly withFaults?: boolean;
  /** Told of what ingresses and workers print. */
  readonly onLine?: (process: string, line: string) => void;
}): Promise<System> {
  const { withFaults = false, onLine = () => {} } = options;
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-faults-'));
  const postgres = await startPostgres({ durable: withFaults });
  const databaseUrl = await postgres.createDatabase();
  const temporalPort = await freePort();
  const uiPort = await freePort();
  const ports = [await freePort(), ...(options.twoOfEach ? [await freePort()] : [])] as const;
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  let sent = 0;
  const temporalAddress = `127.0.0.1:${temporalPort}`;
  const project = fileURLToPath(new URL(`./fixtures/${options.project}`, import.meta.url));
  const weak = new Map<string, WeakPoints>();

  /** Everything it uses is reached through something that can fail. */
  async function weaken(name: string): Promise<Readonly<Record<string, string>>> {
    const clock = join(directory, `${name}.clock`);
    const toPostgres = await startProxy({ port: Number(new URL(databaseUrl).port) });
    const toTemporal = await startProxy({ port: temporalPort });
    const skew = (ms: number): void => writeFileSync(clock, String(ms));
    skew(0);
    weak.set(name, { postgres: toPostgres, temporal: toTemporal, skew });
    const url = new URL(databaseUrl);
    url.port = String(toPostgres.port);
    return {
      DATABASE_URL: url.href,
      TEMPORAL_ADDRESS: `127.0.0.1:${toTemporal.port}`,
      TIDEGATE_TEST_CLOCK_FILE: clock,
    };
  }
  async function node(
    command: 'ingress' | 'worker' | 'serve',
    { which, port = ports[0] }: { readonly which: number; readonly port?: number },
  ): Promise<Restartable> {
    const name = `${command}-${which}`;
    const preload = fileURLToPath(new URL('./skewed-clock.mjs', import.meta.url));
    return restartable(
      name,
      [
        process.execPath,
        ...(withFaults ? ['--import', preload] : []),
        ...['--conditions=tidegate-source', '--import', 'tsx', join(root, 'src/cli/main.ts')],
        ...[command, project],
      ],
      {
        DATABASE_URL: databaseUrl,
        TEMPORAL_ADDRESS: temporalAddress,
        PORT: String(port),
        TIDEGATE_HTTP_BASE_URL: options.receiverUrl,
        LOG_LEVEL: options.logLevel ?? 'warn',
        TIDEGATE_AUTH: 'none',
        ...options.env,
        ...(withFaults ? await weaken(name) : {}),
      },
      (line) => onLine(name, line),
    );
  }
  async function pair(which: number, port: number) {
    if (options.inOneProcess) {
      const both = await node('serve', { which, port });
      return { ingress: both, worker: both };
    }
    return {
      ingress: await node('ingress', { which, port }),
      worker: await node('worker', { which }),
    };
  }
  const processes = {
    temporal: restartable(
      'temporal',
      [
        await findTemporalCli(process.env),
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'error'],
        ...['--port', String(temporalPort), '--ui-port', String(uiPort)],
        ...['--db-filename', join(directory, 'temporal.db')],
        ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
          '--search-attribute',
          `${name}=Keyword`,
        ]),
        ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
        ...(options.temporalArgs ?? []),
      ],
      {},
    ),
    ...(await pair(1, ports[0])),
  };
  const [, secondPort] = ports;
  const second = secondPort === undefined ? undefined : await pair(2, secondPort);
  const journal = await openJournal({ databaseUrl });
  const all = new Set([...Object.values(processes), ...Object.values(second ?? {})]);
  for (const started of all) started.start();

  async function stop(): Promise<void> {
    for (const started of all) await started.kill();
    for (const { postgres: one, temporal: other } of weak.values()) {
      await one.stop();
      await other.stop();
    }
    await journal.close();
    await postgres.remove();
    rmSync(directory, { recursive: true, force: true });
  }
  const isReady = async (): Promise<boolean> => {
    const answers = await Promise.all(
      urls.map((url) => fetch(`${url}/readyz`).catch(() => undefined)),
    );
    return answers.every((answer) => answer?.ok);
  };
  const output = (): string =>
    [...all].map((process) => `--- ${process.name}\n${process.output()}`).join('\n');
  await until('the ingress to be ready', isReady, 110_000).catch(async (error: Error) => {
    await stop();
    throw new Error(`${error.message}\n${output()}`);
  });

  return {
    processes,
    second,
    postgres,
    journal,
    databaseUrl,
    temporalAddress,
    urls,
    weak,
    send: async (type, id, data) => {
      await until(
        `event ${id} to be accepted`,
        async () => {
          sent += 1;
          const response = await fetch(`${urls[sent % urls.length]}/events/${type}`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', 'Idempotency-Key': id },
            body: JSON.stringify(data),
            signal: AbortSignal.timeout(5_000),
          }).catch(() => undefined);
          return response?.status === 202;
        },
        120_000,
      );
    },
    unsettled: async () => {
      const found: RunRow[] = [];
      let after: string | undefined;
      do {
        const page = { limit: 500, ...(after === undefined ? {} : { after }) };
        const { rows, next } = await journal.listRuns({}, page);
        found.push(...rows.filter(({ status }) => status !== 'settled'));
        after = next;
      } while (after !== undefined);
      return found;
    },
    output,
    stop,
  };
}
