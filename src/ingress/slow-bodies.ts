/** Bodies that come so slowly that their connections are all a sender needs to keep everybody else out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/** Whether so many bytes are too few for the time that they took. */
export const isTooSlow = (bytes: number, ms: number): boolean =>
  ms > LIMITS.bodyGraceMs &&
  bytes < (LIMITS.bodyBytesPerSecondMin * (ms - LIMITS.bodyGraceMs)) / 1_000;

const LOOK_MS = 1_000;

/**
 * Looks at a body once a second while it is read.
 *
 * @returns what ends the watch.
 */
export function watchBody(
  read: { readonly bytes: () => number; readonly onTooSlow: (error: TidegateError) => void },
  clock: () => number = () => performance.now(),
): () => void {
  const startedAt = clock();
  let timer = setTimeout(look, LOOK_MS);
  function look(): void {
    if (isTooSlow(read.bytes(), clock() - startedAt)) read.onTooSlow(tooSlow());
    else timer = setTimeout(look, LOOK_MS);
  }
  return () => clearTimeout(timer);
}

const tooSlow = (): TidegateError =>
  new TidegateError(
    'body_too_slow',
    `The body came at less than ${LIMITS.bodyBytesPerSecondMin} bytes a second: send it again, without pauses.`,
  );

/** What is not worth a connection of its own is read to its end after a refusal, so that the connection can be kept. */
const READ_ANYWAY_BYTES_MAX = 65_536;

/** Before an answer to a request whose body was not read: a long or slow one ends the connection instead. */
export function closeUnlessRead(request: IncomingMessage, response: ServerResponse): void {
  const { 'content-length': announced, 'transfer-encoding': encoding } = request.headers;
  const hasNone = announced === undefined && encoding === undefined;
  if (request.complete || hasNone) return;
  const isShort = announced !== undefined && Number(announced) <= READ_ANYWAY_BYTES_MAX;
  if (!isShort || response.statusCode === 408) response.setHeader('Connection', 'close');
}
