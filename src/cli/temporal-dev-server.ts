import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, TidegateError } from '../model/error.ts';
import { SEARCH_ATTRIBUTES } from '../model/protocol.ts';
import type { Logger } from '../telemetry.ts';
import { lazyConnection, localTemporal, pingTemporal } from '../temporal.ts';

export interface DevServerOptions {
  /** The Temporal CLI. */
  readonly executable: string;
  readonly port: number;
  readonly uiPort: number;
  /** What decrypts payloads for the Web UI. @default they are not encrypted */
  readonly codecUrl?: string;
  /** Where the server keeps its database. */
  readonly directory: string;
  readonly logger: Logger;
}

export interface DevServer {
  stop(): Promise<void>;
}

const START_MS_MAX = 30_000;
const STOP_MS_MAX = 10_000;
const RESTART_MS = 1_000;
const OUTPUT_CHARACTERS_MAX = 4_000;

/**
 * Starts a Temporal dev server with a file database and its Web UI, on 127.0.0.1 only, and keeps it
 * running: one that dies is started again.
 *
 * @throws TidegateError `temporal_unavailable` with what the server said, when it does not come up.
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  mkdirSync(options.directory, { recursive: true });
  let isStopping = false;
  let child = start(options);
  const keepRunning = (): void => {
    child.process.once('exit', (code, signal) => {
      if (isStopping) return;
      options.logger.error({ code, signal }, 'the Temporal dev server ended; starting it again');
      setTimeout(() => {
        if (isStopping) return;
        child = start(options);
        keepRunning();
      }, RESTART_MS);
    });
  };
  try {
    await untilServing(options.port, child);
  } catch (error) {
    await end(child.process);
    throw error;
  }
  keepRunning();
  return {
    async stop() {
      isStopping = true;
      await end(child.process);
      rmSync(pidFile(options.directory), { force: true });
    },
  };
}

interface StartedServer {
  readonly process: ChildProcess;
  readonly output: () => string;
}

function start({ executable, port, uiPort, directory, codecUrl }: DevServerOptions): StartedServer {
  const child = spawn(
    executable,
    [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--ui-ip', '127.0.0.1'],
      ...['--port', String(port), '--ui-port', String(uiPort), '--log-level', 'error'],
      ...['--db-filename', join(directory, 'temporal.db')],
      ...(codecUrl === undefined ? [] : ['--ui-codec-endpoint', codecUrl]),
      // Timers shorter than a second would be rounded up to one.
      ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="10ms"'],
      ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => [
        '--search-attribute',
        `${name}=Keyword`,
      ]),
    ],
    // Its own process group: Ctrl-C is ours to pass on, after the worker has finished its work.
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(messageOf(error))));
  if (child.pid !== undefined) {
    writeFileSync(pidFile(directory), `${child.pid} ${process.pid}`);
    // A second signal ends this process at once, as `npm start` brings about: its group is signalled and npm passes
    // the signal on. Then nobody waits for the server, but it is told.
    const endWithUs = (): void => void child.kill('SIGTERM');
    process.once('exit', endWithUs);
    child.once('exit', () => process.off('exit', endWithUs));
  }
  return { process: child, output: () => output.trim() };
}

async function untilServing(port: number, server: StartedServer): Promise<void> {
  const connection = lazyConnection(localTemporal(port));
  const until = Date.now() + START_MS_MAX;
  try {
    for (;;) {
      if (server.process.exitCode !== null || Date.now() > until) {
        throw new TidegateError(
          'temporal_unavailable',
          `The Temporal dev server did not come up on port ${port}. It said: ${server.output() || 'nothing'}`,
        );
      }
      try {
        await pingTemporal(connection);
        return;
      } catch {
        await sleep(100);
      }
    }
  } finally {
    await connection.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/** The server's process id and, after a space, that of the `tidegate dev` which started it. */
const pidFile = (directory: string): string => join(directory, 'temporal.pid');

/**
 * Ends the server that a killed `tidegate dev` has left running on the same database, and nothing
 * else. Only where processes are listed in /proc, as on Linux.
 */
export async function endLeftover(directory: string): Promise<void> {
  const pid = leftoverPid(directory);
  if (pid === undefined) return;
  const until = Date.now() + STOP_MS_MAX;
  process.kill(pid, 'SIGTERM');
  while (leftoverPid(directory) === pid && Date.now() < until) await sleep(50);
}

function leftoverPid(directory: string): number | undefined {
  try {
    const [pid, starter] = readFileSync(pidFile(directory), 'utf8').split(' ').map(Number);
    // Process ids are reused: only one that runs on our database is ours to end.
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    if (!command.includes(join(directory, 'temporal.db'))) return undefined;
    // The system gives an orphan another parent: with its own, a `tidegate dev` still uses it.
    const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return parent === starter ? undefined : pid;
  } catch {
    return undefined;
  }
}
