/** What processes are given when event data is to be encrypted. */
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { Sealing } from '../journal/sealing.ts';
import { isTenant } from '../model/run.ts';
import type { Keyring } from './keyring.ts';
import { payloadCodec } from './payload-codec.ts';
import { seal, unseal } from './seal.ts';

const isFromSource = import.meta.url.endsWith('.ts');

/** The module that Temporal's bundler and its clients load; it has to be the same for both. */
export const FAILURE_CONVERTER_PATH: string = fileURLToPath(
  new URL(`./failure-converter.${isFromSource ? 'ts' : 'js'}`, import.meta.url),
);

/**
 * For every client and worker, also without keys: one that does not know what is encrypted would fail the
 * run instead of waiting for the key.
 */
export const dataConverter = (keyring: Keyring): DataConverter => ({
  payloadCodecs: [payloadCodec(keyring)],
  ...(keyring.current !== undefined && { failureConverterPath: FAILURE_CONVERTER_PATH }),
});

/** For the journal. */
export const journalSealing = (keyring: Keyring): Sealing => ({
  seal: (text, at) => {
    // What was refused may name a tenant that cannot be one.
    const tenant = isTenant(at.tenant) ? at.tenant : '';
    const sealed = seal(keyring, Buffer.from(text), { ...at, tenant });
    return sealed && Buffer.from(sealed).toString('base64');
  },
  unseal: (base64, purpose) =>
    Buffer.from(unseal(keyring, Buffer.from(base64, 'base64'), { purpose })).toString(),
});
