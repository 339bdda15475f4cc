import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { TidegateError } from '../model/error.ts';

/** Asks for `Authorization: Bearer <token>` on every request; for none when there is no token. */
export function bearerToken(token: string | undefined): RequestHandler {
  if (token === undefined) return (_request, _response, next) => next();
  const expected = digest(token);
  return (request, _response, next) => {
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return next();
    next(
      new TidegateError(
        'unauthorized',
        given === undefined
          ? 'Send the header Authorization: Bearer <TIDEGATE_TOKEN>.'
          : 'The bearer token is not the one in TIDEGATE_TOKEN.',
      ),
    );
  };
}

/** Digests have one length, so that the comparison tells nothing about the token's. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
