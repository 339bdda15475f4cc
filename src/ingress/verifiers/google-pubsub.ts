import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose';
import { TidegateError } from '../../model/error.ts';
import { isObject, jsonObject } from './json-body.ts';
import { type FetchText, fetchText, type KeyStore, keyStore } from './key-store.ts';
import { isRefused, oneHeader, refused, type Verification, type Verifier } from './verifier.ts';

export interface GooglePubSubOptions {
  /** The audience of the push subscription. */
  readonly audience: string;
  /** The service account that the subscription pushes as: anybody can get a Google token for an audience. */
  readonly serviceAccount: string;
  /** How Google's keys are fetched. @default over HTTPS, without redirects */
  readonly fetchText?: FetchText;
}

const GOOGLE_KEYS = 'https://www.googleapis.com/oauth2/v3/certs';
const GOOGLE_ISSUERS = ['https://accounts.google.com', 'accounts.google.com'];
const CLOCK_SECONDS = 60;
/** An unknown key id has the keys fetched again, but only this often. */
const REFETCH_MS = 60_000;

/**
 * Google Pub/Sub push with an OIDC token. The token does not cover the body and stays good for an hour,
 * hence `bodyUnprotected`; the source needs no secret.
 *
 * @throws TidegateError `source_invalid` for an empty option.
 */
export function googlePubSubToken(options: GooglePubSubOptions): Verifier {
  if (options.audience.trim() === '' || options.serviceAccount.trim() === '') {
    throw new TidegateError('source_invalid', 'audience and serviceAccount must be set.');
  }
  const keys = keyStore(options.fetchText ?? fetchText);
  return {
    scheme: 'google-pubsub',
    protects: 'nothing',
    needsUrl: false,
    needsSecret: false,
    secretProblem: () => 'is not used: Google signs with its own keys',
    async verify({ headers }, { nowMs }): Promise<Verification> {
      const header = oneHeader(headers, 'authorization');
      if (isRefused(header)) return header;
      const token = /^Bearer +(\S+)$/i.exec(header.value)?.[1];
      const keyId = token === undefined ? undefined : keyIdOf(token);
      if (token === undefined || keyId === undefined) return refused('header_malformed');
      const keySet = await keySetWith(keyId, keys, nowMs);
      if (keySet === undefined) return refused('keys_unavailable');
      return checkToken(token, { keySet, nowMs, options });
    },
  };
}

function keyIdOf(token: string): string | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return alg === 'RS256' && typeof kid === 'string' ? kid : undefined;
  } catch {
    return undefined;
  }
}

async function keySetWith(
  keyId: string,
  keys: KeyStore,
  nowMs: number,
): Promise<JSONWebKeySet | undefined> {
  const known = readKeySet(await keys.read(GOOGLE_KEYS, nowMs));
  if (known?.keys.some(({ kid }) => kid === keyId)) return known;
  return readKeySet(await keys.read(GOOGLE_KEYS, nowMs, nowMs - REFETCH_MS));
}

function readKeySet(text: string | undefined): JSONWebKeySet | undefined {
  const value = text === undefined ? undefined : jsonObject(Buffer.from(text));
  return Array.isArray(value?.keys) && value.keys.every(isObject)
    ? { keys: value.keys as unknown as JSONWebKeySet['keys'] }
    : undefined;
}

async function checkToken(
  token: string,
  check: {
    readonly keySet: JSONWebKeySet;
    readonly nowMs: number;
    readonly options: GooglePubSubOptions;
  },
): Promise<Verification> {
  const { keySet, nowMs, options } = check;
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keySet), {
      algorithms: ['RS256'],
      audience: options.audience,
      issuer: GOOGLE_ISSUERS,
      requiredClaims: ['exp', 'iat'],
      clockTolerance: CLOCK_SECONDS,
      currentDate: new Date(nowMs),
    });
    if (payload.email !== options.serviceAccount || payload.email_verified !== true) {
      return refused('claim_mismatch');
    }
    return (payload.iat ?? 0) * 1_000 > nowMs + CLOCK_SECONDS * 1_000
      ? refused('timestamp_future')
      : { status: 'verified' };
  } catch (error) {
    return refused(causeOf(error));
  }
}

function causeOf(error: unknown) {
  if (error instanceof errors.JWTExpired) return 'timestamp_expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === 'aud' ? 'audience_mismatch' : 'claim_mismatch';
  }
  return 'signature_mismatch';
}
