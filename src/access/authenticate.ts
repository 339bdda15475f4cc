/** Who sent a request, and whether they may. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, RequestHandler } from 'express';
import { isLoopback } from '../http/loopback.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';
import { type ApiKeyStore, apiKeyHolders, isLikeApiKey } from './api-keys.ts';
import { type Action, administrator, type Caller, mayDo } from './caller.ts';
import { type JwtOptions, jwtReader } from './jwt.ts';
import {
  countRefusedCallers,
  type RefusedCallerCause,
  type RefusedCallers,
} from './refused-callers.ts';

/** The credentials that are taken; several ways at once. */
export interface AccessOptions {
  /** The administrator's: every tenant, every action. */
  readonly token?: string;
  /** What `tidegate dev` has made: the same. */
  readonly developmentKey?: string;
  /** Where API keys are. @default none is taken */
  readonly keys?: ApiKeyStore;
  /** @default no JWT is taken */
  readonly jwt?: JwtOptions;
  /** Whether a request from this machine needs no credential. @default false */
  readonly local?: boolean;
  readonly logger: Pick<Logger, 'warn'>;
  /** @default the system's clock */
  readonly now?: () => Date;
}

export interface Access extends Pick<RefusedCallers, 'counts'> {
  /** Finds the caller of a request, or refuses it. */
  readonly authenticate: RequestHandler;
}

const callers = new WeakMap<Request, Caller>();

/** Who sent a request that was authenticated. */
export function callerOf(request: Request): Caller {
  const caller = callers.get(request);
  if (caller === undefined) throw new Error('this request was not authenticated');
  return caller;
}

/** Lets on who may do this; after `authenticate`. */
export const requires =
  (action: Action): RequestHandler =>
  (request, _response, next) => {
    const caller = callerOf(request);
    if (mayDo(caller, action)) return next();
    const has = caller.actions.join(', ') || 'none';
    throw new TidegateError(
      'forbidden',
      `This needs a credential with the scope ${action}; yours has ${has}.`,
      { details: { challenge: challenge('insufficient_scope', `, scope="${action}"`) } },
    );
  };

/** @throws TidegateError `config_invalid` for an empty token. */
export function createAccess(options: AccessOptions): Access {
  const { logger, now = () => new Date() } = options;
  if (options.token === '') throw new TidegateError('config_invalid', 'TIDEGATE_TOKEN is empty.');
  const refused = countRefusedCallers();
  const find = callerFinder(options);
  return {
    counts: refused.counts,
    async authenticate(request, _response, next) {
      const at = now();
      const found = await find(request, at);
      if (found.kind === 'refused') {
        const { cause, keyId } = found;
        const line = refused.note(cause, at.getTime());
        if (line !== undefined) {
          logger.warn({ cause, ...(keyId && { keyId }), ...line }, 'refused a caller');
        }
        throw unauthorized(found);
      }
      callers.set(request, found.caller);
      next();
    },
  };
}

type Found =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | {
      readonly kind: 'refused';
      readonly cause: RefusedCallerCause;
      /** Of a key that is ours: for the log. */
      readonly keyId?: string;
    };

function callerFinder(options: AccessOptions): (request: Request, now: Date) => Promise<Found> {
  const { jwt, keys, logger, local = false } = options;
  const holderOf =
    keys &&
    apiKeyHolders(keys, (error) =>
      logger.warn({ reason: messageOf(error) }, 'could not note the use of an API key'),
    );
  const readJwt = jwt && jwtReader(jwt);
  const tokens = [
    ...textOf('token', options.token),
    ...textOf('development', options.developmentKey),
  ];

  return async (request, now) => {
    const { authorization } = request.headers;
    if (authorization === undefined) return local ? localCaller(request) : refusal('missing');
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (given === undefined) return refusal('malformed');
    const hash = digest(given);
    const token = tokens.find((each) => timingSafeEqual(each.hash, hash));
    if (token !== undefined) return { kind: 'caller', caller: token.caller };
    if (holderOf !== undefined && isLikeApiKey(given)) {
      const held = await holderOf(given, now);
      if (held.status === 'valid') return { kind: 'caller', caller: held.caller };
      if (held.status === 'unknown') return refusal('unknown');
      return { kind: 'refused', cause: `key_${held.status}`, keyId: held.id };
    }
    if (readJwt !== undefined && given.split('.').length === 3) {
      const read = await readJwt(given, now);
      if (read.status === 'valid') return { kind: 'caller', caller: read.caller };
      return refusal(`jwt_${read.cause}`);
    }
    return refusal('unknown');
  };
}

const refusal = (cause: RefusedCallerCause): Found => ({ kind: 'refused', cause });

const textOf = (kind: 'token' | 'development', text: string | undefined) =>
  text === undefined ? [] : [{ hash: digest(text), caller: administrator(kind) }];

/** Digests have one length, so that the comparison tells nothing about the token's. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * A page on the web can point its own name at 127.0.0.1 (DNS rebinding) and would then be of the same
 * origin as this server; its name in `Host` is what gives it away. What a proxy or a tunnel hands on
 * comes from elsewhere.
 *
 * @throws TidegateError `host_refused`
 */
function localCaller({ headers, socket }: Request): Found {
  const from = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
  const isForwarded = FORWARDING.some((name) => headers[name] !== undefined);
  if (!isLoopback(from) || isForwarded) return refusal('missing');
  if (isLoopback((headers.host ?? '').replace(/:\d+$/, ''))) {
    return { kind: 'caller', caller: administrator('local') };
  }
  throw new TidegateError(
    'host_refused',
    'Without a credential this server answers to the names of this machine only: use http://127.0.0.1, or send Authorization: Bearer <credential>.',
  );
}

const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'] as const;

/** Only the holder of a credential that was one is told what is wrong with it. */
const DETAIL_OF: Readonly<Record<RefusedCallerCause, string>> = {
  missing:
    'Send the header Authorization: Bearer <credential>: an API key, a JWT of the issuer that is configured, or TIDEGATE_TOKEN.',
  malformed: 'The header Authorization must be Bearer <credential>.',
  unknown:
    'The credential is not known here: check that it is copied whole, and that it is of this server.',
  key_pending: 'The API key is not valid yet.',
  key_expired: 'The API key has expired: use the one that replaced it, or ask for a new one.',
  key_revoked: 'The API key has been revoked: ask for a new one.',
  jwt_invalid: 'The JWT is not one of the issuer that is configured here.',
  jwt_expired: 'The JWT has expired: fetch a new one.',
  jwt_claims:
    'The claims of the JWT are not those that are needed here: check issuer, audience, subject, tenant and times.',
};

function unauthorized({ cause }: { readonly cause: RefusedCallerCause }): TidegateError {
  const details = {
    challenge: cause === 'missing' ? challenge() : challenge('invalid_token'),
  };
  return new TidegateError('unauthorized', DETAIL_OF[cause], { details });
}

/** RFC 6750, section 3. */
const challenge = (error?: 'invalid_token' | 'insufficient_scope', more = ''): string =>
  `Bearer realm="tidegate"${error === undefined ? '' : `, error="${error}"`}${more}`;
