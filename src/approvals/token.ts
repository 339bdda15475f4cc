/**
 * The signed part of an approval link: a JWT, HS256 and nothing else, that names one approver of one
 * question until one moment. Whoever has it may speak for that approver.
 */
import { base64url, errors, jwtVerify, SignJWT } from 'jose';
import type { RunId } from '../model/run.ts';

/** Who may speak by a link, about what. */
export interface LinkClaims {
  readonly run: RunId;
  readonly parkId: string;
  readonly approver: string;
}

export type ReadLink =
  | { readonly status: 'valid'; readonly claims: LinkClaims }
  /** Ours, and its time is over. */
  | { readonly status: 'expired' }
  | { readonly status: 'unknown' };

const HEADER = { alg: 'HS256', typ: 'approval+jwt' } as const;
const ISSUER = 'tidegate';
const AUDIENCE = 'tidegate:approvals';
/** The claims are a run's id, a step's and a name: a longer text is no token of ours. */
const TOKEN_CHARACTERS_MAX = 8_192;

/** Every token in a text, also one that was cut off: they all begin with the same header. */
const TOKENS = new RegExp(`${base64url.encode(JSON.stringify(HEADER))}(?:\\.[\\w-]*){0,2}`, 'g');

/** A text without the tokens in it, for what goes into histories and logs. */
export const withoutTokens = (text: string): string => text.replace(TOKENS, '[signed]');

/**
 * Signs a link. The same claims give the same token, so that an operation which is tried again sends
 * the same text.
 *
 * @param secrets the first one signs.
 */
export function signLink(
  { run, parkId, approver }: LinkClaims,
  expiresAtMs: number,
  [secret]: readonly [string, ...string[]],
): Promise<string> {
  return new SignJWT({ run, park: parkId, approver })
    .setProtectedHeader(HEADER)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime(Math.ceil(expiresAtMs / 1_000))
    .sign(keyOf(secret));
}

/**
 * What a token says, when one of the secrets has signed it. A token that was not signed here learns
 * nothing about why.
 */
export async function readLink(
  token: string,
  secrets: readonly string[],
  now: Date,
): Promise<ReadLink> {
  if (token.length > TOKEN_CHARACTERS_MAX || !isCanonical(token)) return { status: 'unknown' };
  for (const secret of secrets) {
    const read = await readWith(token, secret, now);
    if (read.status !== 'unknown') return read;
  }
  return { status: 'unknown' };
}

async function readWith(token: string, secret: string, now: Date): Promise<ReadLink> {
  try {
    const { payload } = await jwtVerify(token, keyOf(secret), {
      algorithms: [HEADER.alg],
      typ: HEADER.typ,
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ['exp'],
      currentDate: now,
    });
    const claims = claimsOf(payload);
    return claims === undefined ? { status: 'unknown' } : { status: 'valid', claims };
  } catch (error) {
    // The signature, issuer and audience were right: jose looks at the time last.
    return { status: error instanceof errors.JWTExpired ? 'expired' : 'unknown' };
  }
}

function claimsOf({ run, park, approver }: Readonly<Record<string, unknown>>) {
  if (typeof run !== 'string' || typeof park !== 'string') return undefined;
  if (typeof approver !== 'string') return undefined;
  return { run: run as RunId, parkId: park, approver };
}

/**
 * Whether the signature is written in the one way in which we write it. Decoders take others for the
 * same bytes: the last character has bits that mean nothing.
 */
function isCanonical(token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}

const keyOf = (secret: string): Uint8Array => new TextEncoder().encode(secret);
