import { spawn } from 'node:child_process';

export const root = new URL('../../', import.meta.url);

const tickMs = 10_000;
const outputCharactersMax = 4_000;

/** A reason why the set-up cannot go on: one sentence that says what to do, and the output of what failed. */
export class SetupError extends Error {
  constructor(message, output = '') {
    super(message);
    this.output = output;
  }
}

export function say(line) {
  console.log(`setup: ${line}`);
}

/**
 * Runs a command as one visible step: says what it does, then every few seconds that it is still at it.
 * @param {{ title: string, command: string, args: string[], env?: NodeJS.ProcessEnv, giveUp?: () => boolean }} step
 *   `giveUp` is asked at every tick; true ends the command.
 * @returns {Promise<{ ok: boolean, output: string }>} `output` is the beginning and the end of what it printed.
 */
export async function runStep({ title, command, args, env = process.env, giveUp }) {
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1_000);
  say(`${title} …`);
  const child = spawn(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // npm and go are .cmd files on Windows, which only a shell can start.
    shell: process.platform === 'win32',
  });
  let output = '';
  const keep = (chunk) => {
    output = `${output}${chunk}`;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ticker = setInterval(() => {
    if (giveUp?.()) child.kill('SIGKILL');
    else say(`  ${seconds()} s`);
  }, tickMs);
  const ok = await new Promise((resolve) => {
    child.on('error', (error) => {
      keep(error.message);
      resolve(false);
    });
    child.on('close', (code) => resolve(code === 0));
  });
  clearInterval(ticker);
  say(`  ${ok ? 'done' : 'that did not work'} after ${seconds()} s`);
  return { ok, output: middleCut(output.trim()) };
}

/** Tools name the cause first and the consequence last; what is between is mostly their manual. */
function middleCut(text) {
  if (text.length <= outputCharactersMax) return text;
  const half = outputCharactersMax / 2;
  return `${text.slice(0, half)}\n…\n${text.slice(-half)}`;
}
