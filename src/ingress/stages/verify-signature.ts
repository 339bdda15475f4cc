import { TidegateError } from '../../model/error.ts';
import { type BoundSource, pathOf } from '../source.ts';
import { secretVariable, validSecrets } from '../source-secrets.ts';
import type { SignedRequest } from '../verifiers/verifier.ts';

/**
 * The source of a path.
 *
 * @throws TidegateError `unknown_source`
 */
export function findSource(sources: readonly BoundSource[], path: string): BoundSource {
  const source = sources.find((each) => pathOf(each) === path);
  if (source === undefined) {
    throw new TidegateError(
      'unknown_source',
      'There is no source at this address: see sources.ts.',
    );
  }
  return source;
}

export interface Verified {
  /** The secret that it was; empty where the scheme has none. */
  readonly secret: string;
  readonly signedId?: string;
}

/**
 * The sender is told that there is no signature or not a good one, and nothing more: `details.cause` is
 * for our log.
 *
 * @throws TidegateError `signature_missing` or `signature_invalid`, `keys_unavailable` when a key cannot
 * be fetched, `config_invalid` when there is no secret to check with: that is ours to mend, and a
 * provider that repeats deliveries is to do so.
 */
export async function verifySignature(
  source: BoundSource,
  request: SignedRequest,
  nowMs: number,
): Promise<Verified> {
  const secrets = secretsNow(source, nowMs);
  const verification = await source.verify.verify(request, { secrets, nowMs });
  switch (verification.status) {
    case 'verified': {
      const { secretIndex, signedId } = verification;
      const secret = (secretIndex === undefined ? undefined : secrets[secretIndex]) ?? '';
      return { secret, ...(signedId === undefined ? {} : { signedId }) };
    }
    case 'missing':
      throw new TidegateError('signature_missing', 'The delivery has no signature.', {
        details: { cause: verification.cause },
      });
    case 'invalid':
    case 'expired':
    case 'future':
      throw new TidegateError(
        'signature_invalid',
        'The signature is not that of this body: check that both sides have the same secret and the right time, and that nothing changes the body on its way.',
        { details: { cause: verification.cause } },
      );
    case 'unavailable':
      throw new TidegateError(
        'keys_unavailable',
        'The keys to verify this delivery with cannot be fetched now: send it again.',
        { details: { cause: verification.cause } },
      );
    default:
      return verification satisfies never;
  }
}

function secretsNow({ name, secrets, verify }: BoundSource, nowMs: number): readonly string[] {
  const valid = validSecrets(secrets, nowMs);
  if (valid.length > 0 || !verify.needsSecret) return valid;
  throw new TidegateError(
    'config_invalid',
    secrets.length === 0
      ? `The source ${name} has no secret and takes nothing: set ${secretVariable(name)}.`
      : `The source ${name} has no secret that is valid now and takes nothing: see ${secretVariable(name)}.`,
  );
}

/** The headers as Node keeps them apart: joined, two signatures look like one. */
export function signedRequest(
  request: {
    readonly method?: string | undefined;
    readonly originalUrl: string;
    readonly headersDistinct: NodeJS.Dict<string[]>;
  },
  { body, publicUrl }: { readonly body: Uint8Array; readonly publicUrl: string | undefined },
): SignedRequest {
  return {
    method: request.method ?? '',
    headers: request.headersDistinct,
    body,
    ...(publicUrl === undefined ? {} : { url: publicUrl + request.originalUrl }),
  };
}
