import { readFileSync } from 'node:fs';
import { root, runStep, SetupError } from './step.mjs';

/** Runs `npm ci`, unless node_modules already holds what package-lock.json asks for. */
export async function installPackages() {
  if (packagesAreInstalled()) return;
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund'];
  const { ok, output } = await runStep({
    title: 'installing the packages of package-lock.json (npm ci)',
    command: npm ? process.execPath : 'npm',
    args: npm ? [npm, ...args] : args,
  });
  if (!ok)
    throw new SetupError(
      'npm ci failed (its output is above): mend what it names, usually the network or the registry, and run the command again.',
      output,
    );
}

/**
 * npm writes what it installed to node_modules/.package-lock.json as its last act, so an install
 * that broke off has none, and one made by hand counts like one made here.
 */
function packagesAreInstalled() {
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  if (present === undefined) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = present[path];
    // Optional packages of other platforms are never installed.
    return found === undefined ? entry.optional === true : isSame(found, entry);
  });
}

function isSame(found, wanted) {
  return found.version === wanted.version && found.integrity === wanted.integrity;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(new URL(file, root), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
