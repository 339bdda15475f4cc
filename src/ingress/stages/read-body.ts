import type { IncomingMessage } from 'node:http';
import { TidegateError } from '../../model/error.ts';
import { LIMITS } from '../../model/limits.ts';
import { watchBody } from '../slow-bodies.ts';

/**
 * The bytes of a request's body, never more than `LIMITS.bodyBytesMax` of them in memory. A body that
 * is too large is refused as soon as it is known to be, not when it has ended.
 *
 * @throws TidegateError `body_too_large`, `body_too_slow`, or `unsupported_encoding` for any encoding: signatures hold
 * for the bytes as sent, and a small body can inflate to a huge one.
 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity') {
    throw new TidegateError(
      'unsupported_encoding',
      'Send the body as it is, without Content-Encoding.',
    );
  }
  if (Number(request.headers['content-length'] ?? 0) > LIMITS.bodyBytesMax) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (act: () => void): void => {
      endWatch();
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      act();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > LIMITS.bodyBytesMax) settle(() => reject(tooLarge()));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks, bytes)));
    const onError = (): void => settle(() => reject(cutOff()));
    const onClose = (): void => settle(() => reject(cutOff()));
    const endWatch = watchBody({
      bytes: () => bytes,
      onTooSlow: (error) => settle(() => reject(error)),
    });
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

const tooLarge = (): TidegateError =>
  new TidegateError(
    'body_too_large',
    `The body is larger than ${LIMITS.bodyBytesMax} bytes: send fewer events at a time, or a reference to the data.`,
  );

const cutOff = (): TidegateError => new TidegateError('malformed_json', 'The body ended early.');
