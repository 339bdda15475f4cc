/**
 * Authenticated encryption of a piece of data: AES-256-GCM under the key of its tenant. What is sealed
 * says by which key and for which tenant; that, and what it is for, is authenticated with it.
 *
 *     version 1 · key id length · key id · tenant length · tenant · nonce (12) · data · tag (16)
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { TidegateError } from '../model/error.ts';
import type { Keyring } from './keyring.ts';

const ALGORITHM = 'aes-256-gcm';
const VERSION = 1;
/** Random, 96 bits: safe for 2^32 pieces under one key (NIST SP 800-38D §8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Whose a piece of data is, and what it is: it opens as nothing else. */
export interface SealedFor {
  /** Empty for what belongs to no tenant. */
  readonly tenant: string;
  readonly purpose: string;
}

/** Seals under the current key; undefined when there is none. */
export function seal(
  keyring: Keyring,
  data: Uint8Array,
  { tenant, purpose }: SealedFor,
): Uint8Array | undefined {
  const keyId = keyring.current;
  if (keyId === undefined) return undefined;
  const head = Buffer.concat([Buffer.of(VERSION), counted(keyId), counted(tenant)]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, keyring.dataKey(keyId, tenant), nonce);
  cipher.setAAD(Buffer.concat([head, Buffer.from(purpose)]));
  const sealed = [cipher.update(data), cipher.final()];
  return new Uint8Array(Buffer.concat([head, nonce, ...sealed, cipher.getAuthTag()]));
}

/**
 * @param expected the tenant that it must be of. @default the one that it says
 * @throws TidegateError `encryption_key_unknown` · `payload_corrupt`
 */
export function unseal(
  keyring: Keyring,
  sealed: Uint8Array,
  { purpose, tenant: expected }: Pick<SealedFor, 'purpose'> & Partial<SealedFor>,
): Uint8Array {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const { keyId, tenant, headBytes } = readHead(bytes);
  if (expected !== undefined && tenant !== expected) throw corrupt();
  const body = bytes.subarray(headBytes);
  if (body.length < NONCE_BYTES + TAG_BYTES) throw corrupt();
  const key = keyring.dataKey(keyId, tenant);
  const decipher = createDecipheriv(ALGORITHM, key, body.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.concat([bytes.subarray(0, headBytes), Buffer.from(purpose)]));
  decipher.setAuthTag(body.subarray(-TAG_BYTES));
  try {
    const data = decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES));
    return new Uint8Array(Buffer.concat([data, decipher.final()]));
  } catch {
    throw corrupt();
  }
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 255) throw new RangeError('a key id or tenant has over 255 bytes');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

function readHead(bytes: Buffer) {
  if (bytes[0] !== VERSION) throw corrupt();
  const keyIdEnd = 2 + (bytes[1] ?? 0);
  const headBytes = keyIdEnd + 1 + (bytes[keyIdEnd] ?? 0);
  if (headBytes > bytes.length) throw corrupt();
  return {
    keyId: bytes.toString('utf8', 2, keyIdEnd),
    tenant: bytes.toString('utf8', keyIdEnd + 1, headBytes),
    headBytes,
  };
}

const corrupt = (): TidegateError =>
  new TidegateError(
    'payload_corrupt',
    'Encrypted data is not what was encrypted here: it was changed, cut, or belongs elsewhere, or a key id now names another key. Restore it from a backup, or the key that the id had.',
  );
