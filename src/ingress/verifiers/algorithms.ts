import { createHmac, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeStrictly, type Encoding, isEqual } from './bytes.ts';
import { isBlank } from './verifier.ts';

/** How a signature is checked with a secret, or with the public key that stands in its place. */
export interface Algorithm {
  /** Whether bytes can be a signature at all. */
  readonly isSignature: (bytes: Uint8Array) => boolean;
  /** What is wrong with a secret, without repeating it. */
  readonly secretProblem: (secret: string) => string | undefined;
  /** Whether one of the given signatures is right. All are looked at. */
  readonly matches: (
    secret: string,
    signed: readonly Uint8Array[],
    given: readonly Uint8Array[],
  ) => boolean;
}

/** How a secret's text becomes the key of an HMAC. */
export type HmacKey = 'text' | Encoding | 'whsec';

/** HMAC; several vendors use SHA-1, which is sound inside an HMAC, and leave no choice. */
export function hmac(hash: 'sha256' | 'sha1', key: HmacKey): Algorithm {
  const length = hash === 'sha256' ? 32 : 20;
  return {
    isSignature: (bytes) => bytes.length === length,
    secretProblem: (secret) => (hmacKey(secret, key) === undefined ? KEY_RULES[key] : undefined),
    matches(secret, signed, given) {
      const bytes = hmacKey(secret, key);
      if (bytes === undefined) return false;
      const digest = createHmac(hash, bytes);
      for (const part of signed) digest.update(part);
      const expected = digest.digest();
      return given.filter((each) => isEqual(each, expected)).length > 0;
    },
  };
}

const KEY_RULES: Readonly<Record<HmacKey, string>> = {
  text: 'must not be empty or blank',
  hex: 'must be hex digits',
  base64: 'must be base64, with its padding',
  whsec: 'must be whsec_ and the base64 of 24 to 64 bytes',
};

/** The key that a secret's text stands for; undefined when it is no such text. */
export function hmacKey(secret: string, key: HmacKey): Buffer | undefined {
  if (isBlank(secret)) return undefined;
  switch (key) {
    case 'text':
      return Buffer.from(secret, 'utf8');
    case 'hex':
      return decodeStrictly(secret.toLowerCase(), 'hex');
    case 'base64':
      return decodeStrictly(secret, 'base64');
    case 'whsec': {
      const bytes = decodeStrictly(secret.replace(/^whsec_/, ''), 'base64');
      return bytes !== undefined && bytes.length >= 24 && bytes.length <= 64 ? bytes : undefined;
    }
    default:
      return key satisfies never;
  }
}

/** What precedes a raw Ed25519 key in the form that Node reads (RFC 8410). */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Ed25519 with a raw public key of 32 bytes: in hex, or in base64 after `whpk_`. */
export function ed25519(key: 'hex' | 'whpk'): Algorithm {
  const rule =
    key === 'hex'
      ? 'must be the public key in 64 hex digits'
      : 'must be whpk_ and the base64 of 32 bytes';
  return publicKeyAlgorithm({
    rule,
    digest: null,
    isSignature: (bytes) => bytes.length === 64,
    keyOf(secret) {
      const raw =
        key === 'hex'
          ? decodeStrictly(secret.toLowerCase(), 'hex')
          : secret.startsWith('whpk_')
            ? decodeStrictly(secret.slice('whpk_'.length), 'base64')
            : undefined;
      if (raw?.length !== 32) return undefined;
      return createPublicKey({
        key: Buffer.concat([ED25519_SPKI, raw]),
        format: 'der',
        type: 'spki',
      });
    },
  });
}

/** ECDSA over P-256 with SHA-256 and DER signatures; the public key is SPKI in base64, as SendGrid shows it. */
export const ecdsaP256: Algorithm = publicKeyAlgorithm({
  rule: 'must be a P-256 public key, SPKI in base64',
  digest: 'sha256',
  // A sequence of two integers of 1 to 33 bytes.
  isSignature: (bytes) => bytes.length >= 8 && bytes.length <= 72 && bytes[0] === 0x30,
  keyOf(secret) {
    const der = decodeStrictly(secret, 'base64');
    if (der === undefined) return undefined;
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  },
});

function publicKeyAlgorithm(options: {
  readonly rule: string;
  readonly digest: 'sha256' | null;
  readonly isSignature: (bytes: Uint8Array) => boolean;
  readonly keyOf: (secret: string) => KeyObject | undefined;
}): Algorithm {
  const keyOf = (secret: string): KeyObject | undefined => {
    try {
      return options.keyOf(secret);
    } catch {
      // Node throws for what is no key.
      return undefined;
    }
  };
  return {
    isSignature: options.isSignature,
    secretProblem: (secret) => (keyOf(secret) === undefined ? options.rule : undefined),
    matches(secret, signed, given) {
      const key = keyOf(secret);
      if (key === undefined) return false;
      const content = Buffer.concat(signed);
      return given.some((each) => verify(options.digest, content, key, each));
    },
  };
}
