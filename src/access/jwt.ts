/** Callers with a JSON Web Token of an issuer that we trust. */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { messageOf, TidegateError } from '../model/error.ts';
import { isTenant } from '../model/run.ts';
import { type Caller, isAction, isCallerName } from './caller.ts';

export interface JwtOptions {
  /** What `iss` must be. */
  readonly issuer: string;
  /** What `aud` must have. */
  readonly audience: string;
  /** Where the issuer publishes its keys. */
  readonly jwksUrl: string;
  /** The claim with the tenant: a name, or `*` for every tenant; absent, the tenant is `default`. */
  readonly tenantClaim: string;
}

export type ReadJwt =
  | { readonly status: 'valid'; readonly caller: Caller }
  | { readonly status: 'refused'; readonly cause: JwtRefusal };
/** Why a token is refused. Only `expired` and later ones have a signature of the issuer. */
export type JwtRefusal = 'invalid' | 'expired' | 'claims';

/** Signatures that only the issuer can make. HS* would let whoever knows the public key sign. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** How far clocks may differ. */
const CLOCK_TOLERANCE_SECONDS = 30;
const FETCH_MS_MAX = 5_000;
/** A key that the issuer has taken back is believed no longer than this. */
const KEYS_KEPT_MS = 600_000;
/** Anybody can name a key that does not exist: the keys are fetched again no sooner. */
const KEYS_REFETCH_MS = 30_000;

/**
 * Reads tokens by the issuer's published keys.
 *
 * @returns a function that throws TidegateError `keys_unavailable` when the keys cannot be fetched: the
 * caller did nothing wrong.
 */
export function jwtReader(
  { issuer, audience, jwksUrl, tenantClaim }: JwtOptions,
  { refetchMs = KEYS_REFETCH_MS }: { readonly refetchMs?: number } = {},
): (token: string, now: Date) => Promise<ReadJwt> {
  const keys = issuerKeys(jwksUrl, refetchMs);
  return async (token, now) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'sub'],
        currentDate: now,
      });
      const caller = callerOf(payload, tenantClaim);
      return caller === undefined
        ? { status: 'refused', cause: 'claims' }
        : { status: 'valid', caller };
    } catch (error) {
      if (TidegateError.is(error)) throw error;
      return { status: 'refused', cause: causeOf(error) };
    }
  };
}

function issuerKeys(jwksUrl: string, refetchMs: number): JWTVerifyGetKey {
  const find = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: FETCH_MS_MAX,
    cacheMaxAge: KEYS_KEPT_MS,
    cooldownDuration: refetchMs,
  });
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (error) {
      if (isAboutToken(error)) throw error;
      throw new TidegateError(
        'keys_unavailable',
        `The keys of the issuer cannot be fetched from ${jwksUrl}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  };
}

/** Whether the keys are there and it is the token that has none of them. */
const isAboutToken = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys ||
  error instanceof errors.JOSENotSupported;

function causeOf(error: unknown): JwtRefusal {
  if (error instanceof errors.JWTExpired) return 'expired';
  return error instanceof errors.JWTClaimValidationFailed ? 'claims' : 'invalid';
}

function callerOf(payload: JWTPayload, tenantClaim: string): Caller | undefined {
  const { sub: id } = payload;
  const tenant = tenantOf(Object.hasOwn(payload, tenantClaim) ? payload[tenantClaim] : undefined);
  if (id === undefined || !isCallerName(id) || tenant === undefined) return undefined;
  return { id, kind: 'jwt', tenant, types: ['*'], actions: scopesOf(payload).filter(isAction) };
}

/** Null for every tenant, undefined for what is none. */
function tenantOf(claim: unknown): string | null | undefined {
  if (claim === undefined) return 'default';
  if (claim === '*') return null;
  return typeof claim === 'string' && isTenant(claim) ? claim : undefined;
}

/** `scope` is text (RFC 8693); some issuers write `scp`, as text or as a list. */
const scopesOf = ({ scope, scp }: JWTPayload): readonly string[] =>
  [scope, scp]
    .flatMap((claim): readonly unknown[] => (Array.isArray(claim) ? claim : [claim]))
    .flatMap((part) => (typeof part === 'string' ? part.split(' ') : []));
