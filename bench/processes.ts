import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const children = new Set<ChildProcess>();

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

export async function untilReady(url: string, withinMs = 60_000): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok === true) return;
    if (Date.now() > end) throw new Error(`${url} is not ready after ${withinMs} ms`);
    await sleep(200);
  }
}
