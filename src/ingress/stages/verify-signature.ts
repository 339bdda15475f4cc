import type { IncomingHttpHeaders } from 'node:http';
import { TidegateError } from '../../model/error.ts';
import { type BoundSource, secretVariable } from '../source.ts';

/**
 * The source of a path.
 *
 * @throws TidegateError `unknown_source`, or `config_invalid` for one without a secret: that is ours
 * to mend, and a provider that repeats deliveries is to do so.
 */
export function findSource(sources: readonly BoundSource[], name: string): BoundSource {
  const source = sources.find((each) => each.name === name);
  if (source === undefined) {
    throw new TidegateError('unknown_source', 'There is no source of this name: see sources.ts.');
  }
  if (source.secrets.length === 0) {
    throw new TidegateError(
      'config_invalid',
      `The source ${source.name} has no secret and takes nothing: set ${secretVariable(source.name)}.`,
    );
  }
  return source;
}

/** @throws TidegateError `signature_missing` or `signature_invalid`, telling nothing of either. */
export function verifySignature(
  source: BoundSource,
  headers: IncomingHttpHeaders,
  body: Uint8Array,
): void {
  const verification = source.verify({ headers, body }, source.secrets);
  switch (verification) {
    case 'verified':
      return;
    case 'missing':
      throw new TidegateError('signature_missing', 'The delivery has no signature.');
    case 'invalid':
      throw new TidegateError(
        'signature_invalid',
        'The signature is not that of this body: check that both sides have the same secret and nothing changes the body on its way.',
      );
    default:
      verification satisfies never;
  }
}
