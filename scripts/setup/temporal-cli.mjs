import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runStep, SetupError, say } from './step.mjs';

// The newest tag that `go install` takes: later ones carry a replace directive.
const goPackage = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';
const downloadStallMs = 20_000;
const suffix = process.platform === 'win32' ? '.exe' : '';

/**
 * The Temporal CLI of this machine: what TEMPORAL_CLI names, else the one on PATH, else the one in
 * the user's cache. src/temporal-cli.ts does the same in the running product; a test holds the two together.
 * @returns {string | undefined}
 */
export function findTemporalCli(env) {
  if (env.TEMPORAL_CLI) {
    if (runs(env.TEMPORAL_CLI)) return env.TEMPORAL_CLI;
    throw new SetupError(
      `TEMPORAL_CLI names ${env.TEMPORAL_CLI}, which does not run as a Temporal CLI: correct it or unset it.`,
    );
  }
  const onPath = (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, `temporal${suffix}`));
  return [...onPath, cachedCli(env)].find(runs);
}

/** Finds the Temporal CLI or installs it into the user's cache. */
export async function installTemporalCli(env) {
  const found = findTemporalCli(env);
  if (found !== undefined) return keepFound(found, cachedCli(env));
  mkdirSync(cacheFolder(env), { recursive: true });
  // Inside the cache, so that the finished binary is moved and not copied.
  const workFolder = mkdtempSync(join(cacheFolder(env), 'install-'));
  try {
    const made = (await downloadWithSdk(workFolder)) ?? (await buildWithGo(workFolder, env));
    if (made !== undefined) return renameSync(made, cachedCli(env));
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
  throw new SetupError(
    'there is no Temporal CLI here and none could be fetched: install it (https://docs.temporal.io/cli) or Go 1.25 or newer, or set TEMPORAL_CLI to its path, and run the command again.',
  );
}

function cacheFolder(env) {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidegate');
}

function cachedCli(env) {
  return join(cacheFolder(env), `temporal${suffix}`);
}

function runs(path) {
  if (!existsSync(path)) return false;
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return status === 0 && stdout.startsWith('temporal version');
}

/** A link, so that the CLI is still found where PATH is shorter, as under a service manager. */
function keepFound(found, kept) {
  if (found === kept || existsSync(kept)) return;
  try {
    mkdirSync(join(kept, '..'), { recursive: true });
    rmSync(kept, { force: true });
    symlinkSync(resolve(found), kept);
  } catch {
    say(`could not keep a link to ${found} in ${kept}; going on without.`);
  }
}

async function downloadWithSdk(folder) {
  const progress = { bytes: -1, at: Date.now() };
  const giveUp = () => {
    const bytes = bytesIn(folder);
    if (bytes !== progress.bytes) Object.assign(progress, { bytes, at: Date.now() });
    return Date.now() - progress.at > downloadStallMs;
  };
  await runStep({
    title: "downloading the Temporal CLI through Temporal's SDK",
    command: process.execPath,
    args: [fileURLToPath(new URL('sdk-download.mjs', import.meta.url)), folder],
    giveUp,
  });
  return filesIn(folder).find((path) => !path.endsWith('.downloading') && runs(path));
}

async function buildWithGo(folder, env) {
  if (spawnSync('go', ['version'], { env, shell: suffix !== '' }).status !== 0) return undefined;
  const { ok, output } = await runStep({
    title: `building the Temporal CLI with Go (go install ${goPackage}); this takes a few minutes, once`,
    command: 'go',
    args: ['install', goPackage],
    env: { ...env, GOBIN: folder },
  });
  if (!ok) {
    say(output);
    return undefined;
  }
  const built = join(folder, `temporal${suffix}`);
  chmodSync(built, 0o755);
  return runs(built) ? built : undefined;
}

function filesIn(folder) {
  return readdirSync(folder).map((name) => join(folder, name));
}

function bytesIn(folder) {
  return filesIn(folder).reduce((sum, path) => sum + statSync(path).size, 0);
}
