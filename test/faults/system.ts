import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { RunRow } from '../../src/journal/rows.ts';
import { SEARCH_ATTRIBUTES } from '../../src/model/protocol.ts';
import { findTemporalCli } from '../../src/temporal-cli.ts';
import { freePort } from '../support/free-port.ts';
import { startPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';
import { type Restartable, restartable } from './processes.ts';

/** A project in production: PostgreSQL, Temporal, an ingress and a worker, each a process of its own. */
export interface System {
  readonly processes: {
    readonly temporal: Restartable;
    readonly ingress: Restartable;
    readonly worker: Restartable;
  };
  /** A second ingress and a second worker, where they were asked for. */
  readonly second: { readonly ingress: Restartable; readonly worker: Restartable } | undefined;
  readonly journal: Journal;
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  /** Where the ingresses are, in the order of their processes. */
  readonly urls: readonly string[];
  /** Sends until it is accepted, as a sender that does not want to lose an event does. */
  send(type: string, id: string, data: object): Promise<void>;
  /** Every run with something unsettled. */
  unsettled(): Promise<readonly RunRow[]>;
  /** What the processes printed, for a failing test's message. */
  output(): string;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

export async function startSystem(options: {
  /** A folder of ./fixtures. */
  readonly project: string;
  readonly receiverUrl: string;
  readonly temporalArgs?: readonly string[];
  /** Two ingresses and two workers; events go to the ingresses in turn. @default one of each */
  readonly twoOfEach?: boolean;
  /** @default 'warn' */
  readonly logLevel?: 'info';
}): Promise<System> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-faults-'));
  const postgres = await startPostgres();
  const databaseUrl = await postgres.createDatabase();
  const temporalPort = await freePort();
  const uiPort = await freePort();
  const ports = [await freePort(), ...(options.twoOfEach ? [await freePort()] : [])] as const;
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  let sent = 0;
  const temporalAddress = `127.0.0.1:${temporalPort}`;
  const project = fileURLToPath(new URL(`./fixtures/${options.project}`, import.meta.url));
  const node = (command: string, port: number = ports[0]): Restartable =>
    restartable(
      command,
      [
        process.execPath,
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
      },
    );
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
    ingress: node('ingress'),
    worker: node('worker'),
  };
  const second = options.twoOfEach
    ? { ingress: node('ingress', ports[1]), worker: node('worker') }
    : undefined;
  const journal = await openJournal({ databaseUrl });
  const all = [...Object.values(processes), ...Object.values(second ?? {})];
  for (const started of all) started.start();

  async function stop(): Promise<void> {
    for (const started of all) await started.kill();
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
  await until('the ingress to be ready', isReady, 60_000).catch(async (error: unknown) => {
    await stop();
    throw error;
  });

  return {
    processes,
    second,
    journal,
    databaseUrl,
    temporalAddress,
    urls,
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
        60_000,
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
    output: () => all.map(({ name, output }) => `--- ${name}\n${output()}`).join('\n'),
    stop,
  };
}
