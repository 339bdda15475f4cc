import type { Request, Response } from 'express';
import type { BoundSource, HandshakeAnswer } from '../source.ts';

/** What a source answers to a request that nobody has verified, if anything. */
export function answerSetup(
  source: BoundSource,
  { method, originalUrl, headers }: Request,
  body: Uint8Array,
): HandshakeAnswer | undefined {
  if (source.setup === undefined) return undefined;
  const query = new URLSearchParams(originalUrl.split('?').slice(1).join('?'));
  return source.setup({ method, query, headers, body });
}

/** Sends what a provider wants to hear, so that no browser takes it for a page. */
export function sendHandshake(response: Response, { status, json, text }: HandshakeAnswer): void {
  response.status(status).set({
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; sandbox",
  });
  if (json !== undefined) response.json(json);
  else if (text !== undefined) response.type('text/plain').send(text);
  else response.end();
}
