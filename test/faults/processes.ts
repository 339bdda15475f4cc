import { type ChildProcess, spawn } from 'node:child_process';

/** A process that can be killed and started again at any moment. */
export interface Restartable {
  readonly name: string;
  start(): void;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** The last lines of what it printed, for a failing test's message. */
  output(): string;
}

const OUTPUT_CHARACTERS_MAX = 8_000;

export function restartable(
  name: string,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Restartable {
  let child: ChildProcess | undefined;
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  return {
    name,
    output: () => output,
    start() {
      const [file, ...args] = command;
      child = spawn(file, args, {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout?.on('data', keep);
      child.stderr?.on('data', keep);
    },
    async kill() {
      const killed = child;
      child = undefined;
      if (killed === undefined || killed.exitCode !== null || killed.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => killed.once('exit', () => resolve()));
      killed.kill('SIGKILL');
      await ended;
    },
  };
}
