import { execFile } from 'node:child_process';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { TidegateError } from './model/error.ts';

const execute = promisify(execFile);
const versionTimeoutMs = 10_000;
const fileName = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

/**
 * The path of a Temporal CLI that runs: what `TEMPORAL_CLI` names, else the one on `PATH`, else the
 * one that `scripts/setup.mjs` keeps in the user's cache (`$XDG_CACHE_HOME/tidegate` or
 * `~/.cache/tidegate`).
 *
 * Throws `temporal_cli_missing`, also when `TEMPORAL_CLI` is set and what it names does not run.
 */
export async function findTemporalCli(env: NodeJS.ProcessEnv): Promise<string> {
  if (env.TEMPORAL_CLI) {
    if (await runs(env.TEMPORAL_CLI)) return env.TEMPORAL_CLI;
    throw new TidegateError(
      'temporal_cli_missing',
      `TEMPORAL_CLI names ${env.TEMPORAL_CLI}, which does not run as a Temporal CLI. Correct it or unset it.`,
    );
  }
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folders = [...(env.PATH ?? '').split(delimiter), join(cache, 'tidegate')];
  for (const folder of folders.filter((name) => name !== '')) {
    const path = join(folder, fileName);
    if (await runs(path)) return path;
  }
  throw new TidegateError(
    'temporal_cli_missing',
    'There is no Temporal CLI on PATH or in the cache. Install it (https://docs.temporal.io/cli), ' +
      'or set TEMPORAL_CLI to its path, or TEMPORAL_ADDRESS to a running Temporal.',
  );
}

async function runs(path: string): Promise<boolean> {
  try {
    const { stdout } = await execute(path, ['--version'], { timeout: versionTimeoutMs });
    return stdout.startsWith('temporal version');
  } catch {
    return false;
  }
}
