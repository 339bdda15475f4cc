import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { postgresBinaries } from './postgres-binaries.ts';

const READY_MS_MAX = 30_000;
const OUTPUT_CHARACTERS_MAX = 2_000;

/** A real PostgreSQL server in a temporary folder, which can fail on demand. */
export interface TestPostgres {
  /** A new, empty database; its URL. */
  createDatabase(): Promise<string>;
  /** Ends the server as an administrator does: connections are terminated. */
  stop(): Promise<void>;
  /** Ends the server and all its connections as a crash does: it recovers from its log when it starts. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  start(): Promise<void>;
  /** Ends the server and removes its folder. */
  remove(): Promise<void>;
}

/** @param durable whether a commit waits for the disk; tests need not. */
export async function startPostgres({ durable = false } = {}): Promise<TestPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'tidegate-postgres-'));
  const user = await unprivilegedUser();
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const binaries = await postgresBinaries(
    user === undefined ? undefined : join(folder, 'postgres'),
  );
  const data = join(folder, 'data');
  await mkdir(data, { mode: 0o700 });
  if (user !== undefined) await chown(data, user.uid, user.gid);
  const ownership = { cwd: folder, ...user };
  await promisify(execFile)(
    join(binaries, 'initdb'),
    ['-D', data, '-U', 'tidegate', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
    ownership,
  );
  const port = await freePort();
  const url = (database: string) => `postgres://tidegate@127.0.0.1:${port}/${database}`;

  let child: ChildProcess | undefined;
  let output = '';
  const run = (): ChildProcess => {
    const server = spawn(
      join(binaries, 'postgres'),
      [
        '-D',
        data,
        '-p',
        String(port),
        ...serverSettings(durable).flatMap((setting) => ['-c', setting]),
      ],
      { ...ownership, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    server.stderr.on('data', (chunk) => {
      output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX);
    });
    return server;
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    await exited;
  };
  const start = async (): Promise<void> => {
    const deadline = Date.now() + READY_MS_MAX;
    while (!(await answers(url('postgres')))) {
      if (Date.now() > deadline)
        throw new Error(`PostgreSQL at port ${port} does not start: ${output}`);
      if (child === undefined || child.exitCode !== null) child = run();
      await sleep(50);
    }
  };
  const killAtExit = () => child?.kill('SIGKILL');
  process.once('exit', killAtExit);
  await start();

  let databases = 0;
  return {
    createDatabase: async () => {
      databases += 1;
      const name = `journal_${databases}`;
      await execute(url('postgres'), `create database ${name}`);
      return url(name);
    },
    stop: () => end('SIGINT'),
    // An immediate shutdown. After SIGKILL its connections' processes would go on answering for a while.
    kill: () => end('SIGQUIT'),
    start,
    remove: async () => {
      await end('SIGINT');
      process.off('exit', killAtExit);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const serverSettings = (durable: boolean): readonly string[] => [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  `fsync=${durable ? 'on' : 'off'}`,
  // A durable one is measured: it has what PostgreSQL comes with.
  ...(durable ? [] : ['shared_buffers=32MB']),
  'max_connections=60',
];

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const user = ['postgres', 'nobody']
    .map((wanted) => users.find(([name]) => name === wanted))
    .find((found) => found !== undefined);
  if (user === undefined) throw new Error('root needs a user postgres or nobody to run PostgreSQL');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

async function answers(url: string): Promise<boolean> {
  try {
    await execute(url, 'select 1');
    return true;
  } catch {
    return false;
  }
}

/** Runs one statement on a connection of its own, and returns its rows. */
export async function execute(
  url: string,
  statement: string,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}
