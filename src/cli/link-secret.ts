import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const BYTES = 32;

/**
 * What `tidegate dev` signs approval links with where nothing is set: made once, so that a link still
 * works after a restart, and for this user's eyes only.
 */
export function devLinkSecret(directory: string): string {
  const path = join(directory, 'link-secret');
  if (existsSync(path)) {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept.length >= BYTES) {
      chmodSync(path, 0o600);
      return kept;
    }
  }
  mkdirSync(directory, { recursive: true });
  const secret = randomBytes(BYTES).toString('hex');
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return secret;
}
