import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { type LockFile, type PackageJson, readJson } from './files.ts';

const packageJson = readJson<PackageJson>('package.json');
const { packages } = readJson<LockFile>('package-lock.json');
const declared = { ...packageJson.dependencies, ...packageJson.devDependencies };

/** Locked packages by name; one name may be there in several places and versions. */
function lockedVersions(isWanted: (name: string) => boolean): ReadonlyMap<string, string[]> {
  const versions = new Map<string, string[]>();
  for (const [path, { version }] of Object.entries(packages)) {
    const name = path.split('node_modules/').at(-1) ?? '';
    if (isWanted(name)) versions.set(name, [...(versions.get(name) ?? []), version]);
  }
  return versions;
}

describe('the dependencies', () => {
  it('are declared in exact versions', () => {
    const loose = Object.entries(declared).filter(([, version]) => !/^\d+\.\d+\.\d+/.test(version));
    assert.deepEqual(loose, []);
  });

  it('hold one version of every @temporalio package', () => {
    const locked = lockedVersions((name) => name.startsWith('@temporalio/'));
    assert.ok(locked.size > 5);
    assert.deepEqual(
      [...new Set([...locked.values()].flat())],
      [packageJson.dependencies['@temporalio/client']],
    );
    const named = Object.entries(declared).filter(([name]) => name.startsWith('@temporalio/'));
    assert.deepEqual(
      named.filter(([, version]) => version !== declared['@temporalio/client']),
      [],
    );
  });

  it('hold exactly one protobufjs, which Temporal messages are checked against by instance', () => {
    const locked = lockedVersions((name) => name === 'protobufjs');
    assert.deepEqual(locked.get('protobufjs'), [packageJson.dependencies.protobufjs]);
  });

  it('are locked for every platform, so that npm ci works on each', () => {
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => lockedVersions((other) => other === name).size === 0);
    assert.deepEqual(missing, []);
  });

  it('are locked without the address they came from', () => {
    const addressed = Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined);
    assert.deepEqual(addressed, []);
  });
});
