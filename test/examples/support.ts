/**
 * The sample company as `npm start` runs it: `tidegate dev examples/acme` in a process of its own,
 * with fakes at the outside systems. Spoken to over HTTP only, as services and operators do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunRow } from '../../src/journal/rows.ts';
import type { RunView } from '../../src/model/protocol.ts';
import { freePort } from '../support/free-port.ts';
import { until } from '../support/wait.ts';

export interface Acme {
  readonly url: string;
  readonly port: number;
  /** Sends an event as a service would; the status that it was given. */
  send(type: string, id: string, data: object): Promise<string>;
  /** The run, once everything that it was given has an outcome. */
  settled(run: string): Promise<ShownRun>;
  /** The run, once it waits for a person. */
  parked(run: string): Promise<ShownRun>;
  /** The run, once it has taken in so many events. */
  seen(run: string, events: number): Promise<ShownRun>;
  /** What a person decides; the HTTP status that it was answered with. */
  decide(run: string, decision: object, actor?: string): Promise<number>;
  /** What left because of a run, in order. */
  left(run: string): Promise<readonly Sending[]>;
  operations(run: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}
export type ShownRun = RunRow & { readonly live?: RunView };
/** One write that a fake kept instead of sending it. */
export interface Sending {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const START_MS_MAX = 60_000;

export async function startAcme(): Promise<Acme> {
  // In the repository, where `tidegate/…` means this package; ignored by git.
  mkdirSync(join(root, '.tidegate'), { recursive: true });
  const directory = mkdtempSync(join(root, '.tidegate', 'acme-'));
  // Without the .env of whoever runs the tests: it may name systems that are real.
  const filter = (path: string) => !basename(path).startsWith('.env');
  cpSync(join(root, 'examples/acme'), join(directory, 'acme'), { recursive: true, filter });
  const port = await freePort();
  const server = startProcess(directory, {
    PORT: String(port),
    TEMPORAL_PORT: String(await freePort()),
    TEMPORAL_UI_PORT: String(await freePort()),
    TIDEGATE_DIR: join(directory, 'state'),
  });
  const acme = client(port, async () => {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  try {
    const isReady = async () => (await fetch(`${acme.url}/readyz`).catch(() => undefined))?.ok;
    await until('tidegate dev to be ready', isReady, START_MS_MAX);
  } catch (error) {
    await acme.stop();
    throw new Error(`tidegate dev printed: ${server.output()}`, { cause: error });
  }
  return acme;
}

function startProcess(directory: string, env: Readonly<Record<string, string>>) {
  const { PATH = '', HOME = '', TEMPORAL_CLI } = process.env;
  const temporalCli = TEMPORAL_CLI === undefined ? {} : { TEMPORAL_CLI };
  const args = ['--conditions=tidegate-source', '--import', 'tsx', join(root, 'src/cli/main.ts')];
  const child: ChildProcess = spawn(process.execPath, [...args, 'dev', join(directory, 'acme')], {
    cwd: root,
    env: { PATH, HOME, LOG_LEVEL: 'error', ...temporalCli, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-8_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function client(port: number, stop: () => Promise<void>): Acme {
  const url = `http://127.0.0.1:${port}`;
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    if (response.ok) return (await response.json()) as never;
    throw new Error(`${path} answered ${response.status} ${await response.text()}`);
  };
  const postJson = (path: string, body: object, headers: Readonly<Record<string, string>>) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const pathOf = (run: string): string => `/api/v1/runs/${encodeURIComponent(run)}`;
  const runWhere = (what: string, run: string, holds: (row: ShownRun) => boolean) =>
    until(`${run} ${what}`, async () => {
      const row: ShownRun = await get(pathOf(run));
      return holds(row) && row;
    });

  const acme: Acme = {
    url,
    port,
    async send(type, id, data) {
      const path = `/events/${type}?source=test`;
      const response = await postJson(path, data, { 'idempotency-key': id });
      const { results } = (await response.json()) as { results?: { status: string }[] };
      return results?.[0]?.status ?? `answered ${response.status}`;
    },
    settled: (run) => runWhere('settled', run, ({ status }) => status === 'settled'),
    parked: (run) => runWhere('parked', run, ({ status }) => status === 'parked'),
    seen: (run, events) =>
      runWhere(`with ${events} events`, run, ({ live }) => live?.seenThrough === events),
    decide: async (run, decision, actor = 'ana@acme.example') =>
      (await postJson(`${pathOf(run)}/decisions`, decision, { 'x-actor': actor })).status,
    async left(run) {
      const { rows }: { readonly rows: readonly (Sending & { readonly connector: string })[] } =
        await get(`/api/v1/outbox?run=${encodeURIComponent(run)}`);
      return rows.toReversed().map(({ connector, operation, input }) => ({
        operation: `${connector}.${operation}`,
        input,
      }));
    },
    operations: async (run) => (await acme.left(run)).map(({ operation }) => operation),
    stop,
  };
  return acme;
}
