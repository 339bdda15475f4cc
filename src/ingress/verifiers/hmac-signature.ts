import { createHmac } from 'node:crypto';
import { TidegateError } from '../../model/error.ts';
import { matchesAny, type Verifier } from './verifier.ts';

export interface HmacSignatureOptions {
  /** The header with the signature, in any case. */
  readonly header: string;
  /** What stands before the signature in the header, such as `sha256=`. @default '' */
  readonly prefix?: string;
  readonly encoding: 'hex' | 'base64';
}

const DIGEST_BYTES = 32;

/**
 * HMAC-SHA256 of the raw body with the secret's text as key, one signature in one header: GitHub,
 * Shopify, Linear, Notion and others. Secrets rotate by trying several.
 */
export function hmacSignature(options: HmacSignatureOptions): Verifier {
  const { prefix = '', encoding } = options;
  const header = options.header.toLowerCase();
  return ({ headers, body }, secrets) => {
    if (secrets.length === 0 || secrets.includes('')) {
      // HMAC takes an empty key, and then everybody can sign.
      throw new TidegateError('config_invalid', 'A signature cannot be checked without a secret.');
    }
    const value = headers[header];
    if (value === undefined || value === '') return 'missing';
    const given = typeof value === 'string' ? decodeDigest(value, prefix, encoding) : undefined;
    if (given === undefined) return 'invalid';
    const expected = secrets.map((secret) => createHmac('sha256', secret).update(body).digest());
    return matchesAny(given, expected) ? 'verified' : 'invalid';
  };
}

/** The shape is checked first, because Buffer.from drops what does not belong in silence. */
function decodeDigest(
  value: string,
  prefix: string,
  encoding: 'hex' | 'base64',
): Buffer | undefined {
  if (!value.startsWith(prefix)) return undefined;
  const text = value.slice(prefix.length);
  const shape = encoding === 'hex' ? /^[\da-f]{64}$/ : /^[A-Za-z0-9+/]{43}=$/;
  if (!shape.test(text)) return undefined;
  const digest = Buffer.from(text, encoding);
  return digest.length === DIGEST_BYTES ? digest : undefined;
}
