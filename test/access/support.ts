import { makeApiKey } from '../../src/access/api-keys.ts';
import { type Access, type AccessOptions, createAccess } from '../../src/access/authenticate.ts';
import type { Action } from '../../src/access/caller.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { createLogger } from '../../src/telemetry.ts';

const silent = createLogger({ level: 'silent' });

/** What a test does not say is not taken. */
export const accessWith = (options: Partial<AccessOptions>): Access =>
  createAccess({ logger: silent, ...options });

export interface KeyFields {
  readonly name?: string;
  readonly tenant?: string | null;
  readonly types?: readonly string[];
  readonly actions?: readonly Action[];
  readonly createdAt?: Date;
  readonly notBefore?: Date;
  readonly expiresAt?: Date;
}

/** A key in the journal, and its text. */
export async function keyIn(journal: Journal, fields: KeyFields = {}) {
  const { id, text, hash } = makeApiKey();
  await journal.apiKeys.create({
    name: 'test-key',
    tenant: null,
    types: ['*'],
    actions: [],
    createdAt: new Date(),
    createdBy: 'test',
    ...fields,
    id,
    hash,
  });
  return { id, text, headers: { authorization: `Bearer ${text}` } };
}
