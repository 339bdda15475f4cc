import { readFileSync } from 'node:fs';
import { root, SetupError } from './step.mjs';

/** Throws unless this Node is at least what package.json asks for in `engines`. */
export function checkNode(version = process.versions.node) {
  const { engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  const least = engines.node.replace('>=', '');
  if (compareVersions(version, least) < 0)
    throw new SetupError(
      `Tidegate needs Node ${least} or newer and this is ${version}: install a newer Node and run the command again.`,
    );
}

function compareVersions(left, right) {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number));
  const index = a.findIndex((part, at) => part !== b[at]);
  return index === -1 ? 0 : a[index] - b[index];
}
