import { type ChildProcess, spawn } from 'node:child_process';

/** A process that can be killed, stopped and started again at any moment. */
export interface Restartable {
  readonly name: string;
  start(): void;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
  /** Asks it to end, as a deployment does, and waits for it. @returns its exit code, null when it was killed */
  terminate(): Promise<number | null>;
  /** Gives it no time, until `resume`: as a machine that swaps, or that is moved to another host. */
  pause(): void;
  resume(): void;
  /** Whether it runs, or was told to end. */
  isAsWished(): boolean;
  /** The last lines of what it printed since it was started, for a failing test's message. */
  output(): string;
}

const OUTPUT_CHARACTERS_MAX = 8_000;

export function restartable(
  name: string,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void = () => {},
): Restartable {
  let child: ChildProcess | undefined;
  let output = '';
  let line = '';
  const keep = (chunk: string): void => {
    output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX);
    const lines = (line + chunk).split('\n');
    line = lines.pop() ?? '';
    lines.forEach(onLine);
  };
  // What is started must not outlive who started it, whatever ends that.
  const killAtExit = (): void => void child?.kill('SIGKILL');
  const hasEnded = (of: ChildProcess): boolean => of.exitCode !== null || of.signalCode !== null;
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const ended = child;
    child = undefined;
    process.off('exit', killAtExit);
    if (ended === undefined) return null;
    if (hasEnded(ended)) return ended.exitCode;
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
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', keep);
      }
      process.off('exit', killAtExit).once('exit', killAtExit);
    },
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    isAsWished: () => child === undefined || !hasEnded(child),
  };
}
