import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a process that ends with the benchmark. */
export function start(
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A process that can be killed and started again. */
export interface Restartable {
  pid(): number;
  start(): void;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it too. */
export function restartable(
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Restartable {
  let child = start(command, env);
  return {
    pid: () => child.pid ?? Number.NaN,
    start: () => {
      child = start(command, env);
    },
    async kill() {
      const ended = once(child, 'exit');
      if (child.kill('SIGKILL')) await ended;
    },
    stop: () => stop(child),
  };
}

/** A TypeScript file of this repository, as a Node command. */
export const node = (file: string, ...args: readonly string[]): [string, ...string[]] => [
  process.execPath,
  ...['--conditions=tidegate-source', '--import', 'tsx', `${root}${file}`],
  ...args,
];

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(timer);
}

export const stopAll = async (): Promise<void> => {
  await Promise.all([...children].map(stop));
};

export const untilReady = (url: string): Promise<void> =>
  patiently(
    `${url} to answer`,
    async () => {
      const response = await fetch(url).catch(() => undefined);
      return response?.ok === true ? true : undefined;
    },
    { withinMs: 60_000, everyMs: 20 },
  ).then(() => {});

/** Looks until something is found. */
export async function patiently<Found>(
  what: string,
  look: () => Promise<Found | undefined>,
  { withinMs = 300_000, everyMs = 250 }: { withinMs?: number; everyMs?: number } = {},
): Promise<Found> {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(everyMs);
  }
}

/** The resident memory of a process in MB, from Linux's `/proc`. */
export function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(match?.[1] ?? Number.NaN) / 1_024);
}

const TICKS_PER_SECOND = 100;

/** Processor time that a process has used, user and system, in milliseconds; 0 of one that has ended. */
export function processorMs(pid: number): number {
  try {
    // Behind the name, which may have spaces in it: proc(5).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (1_000 * (Number(fields[11]) + Number(fields[12]))) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
