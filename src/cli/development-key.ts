import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeApiKey, readApiKey } from '../access/api-keys.ts';

export interface DevelopmentKey {
  readonly key: string;
  readonly path: string;
  /** Whether it was made now: then it is printed, this once. */
  readonly isNew: boolean;
}

/**
 * What `tidegate dev` takes from callers of other machines, as a tunnel brings them, where nothing is
 * configured: made once, and for this user's eyes only.
 */
export function developmentKey(directory: string): DevelopmentKey {
  const path = join(directory, 'development-key');
  if (existsSync(path)) {
    const key = readFileSync(path, 'utf8').trim();
    if (readApiKey(key) !== undefined) {
      chmodSync(path, 0o600);
      return { key, path, isNew: false };
    }
  }
  mkdirSync(directory, { recursive: true });
  const { text: key } = makeApiKey();
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return { key, path, isNew: true };
}
