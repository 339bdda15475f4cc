import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

/** Paths of the files that belong to the repository: tracked, or new and not ignored. */
export function repositoryFiles(): readonly string[] {
  const output = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  return output.split('\0').filter((path) => path !== '' && existsSync(join(repositoryRoot, path)));
}

export function readText(path: string): string {
  return readFileSync(join(repositoryRoot, path), 'utf8');
}

export function readJson<Value>(path: string): Value {
  return JSON.parse(readText(path)) as Value;
}

export interface PackageJson {
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export interface LockFile {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly version: string;
        readonly resolved?: string;
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}
