import { type ChildProcess, spawn } from 'node:child_process';

/** A process that can be killed and started again at any moment. */
export interface Restartable {
  readonly name: string;
  start(): void;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Asks it to end, as a deployment does, and waits for it. @returns its exit code, null when it was killed */
  terminate(): Promise<number | null>;
  /** The last lines of what it printed since it was started, for a failing test's message. */
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
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const ended = child;
    child = undefined;
    if (ended === undefined) return null;
    if (ended.exitCode !== null || ended.signalCode !== null) return ended.exitCode;
    const code = new Promise<number | null>((resolve) => ended.once('exit', resolve));
    ended.kill(signal);
    return code;
  }
  return {
    name,
    output: () => output,
    start() {
      output = '';
      const [file, ...args] = command;
      child = spawn(file, args, {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout?.on('data', keep);
      child.stderr?.on('data', keep);
    },
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
  };
}
