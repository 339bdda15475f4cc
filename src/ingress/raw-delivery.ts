/** What is kept of a delivery, and its verification again. */
import type { RawDelivery } from '../journal/deliveries.ts';
import type { VerifyAgain } from '../journal/verify-again.ts';
import { TidegateError } from '../model/error.ts';
import type { BoundSource } from './source.ts';
import { validSecrets } from './source-secrets.ts';
import type { RequestHeaders, SignedRequest } from './verifiers/verifier.ts';

/** Credentials and what proxies add: kept by nobody, even where a verifier has looked at all headers. */
const NEVER_KEPT =
  /^(?:cookie|proxy-authorization|x-api-key|api-key|x-auth-token|forwarded|x-forwarded-.*|x-real-ip)$/;
/** An `Authorization` of another kind is a signature, as with Microsoft Teams. */
const CREDENTIAL = /^\s*(?:bearer|basic|digest|negotiate)\b/i;

/**
 * Notes which headers the verification of a request reads: they are what is kept, since the same
 * verification needs no others, and the rest may have credentials.
 */
export function noteReads(request: SignedRequest): {
  readonly request: SignedRequest;
  readonly headersRead: () => RawDelivery['headers'];
} {
  const names = new Set<string>();
  const headers = new Proxy(request.headers, {
    get(target, name) {
      if (typeof name === 'string') names.add(name);
      return Reflect.get(target, name);
    },
  });
  return {
    request: { ...request, headers },
    headersRead: () => kept(request.headers, names),
  };
}

function kept(headers: RequestHeaders, names: ReadonlySet<string>): RawDelivery['headers'] {
  const found: Record<string, readonly string[]> = {};
  for (const name of names) {
    if (!Object.hasOwn(headers, name) || NEVER_KEPT.test(name)) continue;
    const value = headers[name];
    const values = typeof value === 'string' ? [value] : (value ?? []);
    const isCredential = name === 'authorization' && values.some((text) => CREDENTIAL.test(text));
    if (values.length > 0 && !isCredential) found[name] = values;
  }
  return found;
}

/** What is kept of a verified request, with the headers that its verification has read. */
export const rawDelivery = (
  { name, verify }: BoundSource,
  { method, url, body }: SignedRequest,
  { receivedAt, headers }: Pick<RawDelivery, 'receivedAt' | 'headers'>,
): RawDelivery => ({
  source: name,
  receivedAt,
  method,
  ...(verify.needsUrl && url !== undefined && { url }),
  headers,
  body,
});

/**
 * Whether deliveries of a source are worth keeping. Where the body is not protected a verification says
 * nothing of it, and what is verified is a credential.
 */
export const isWorthKeeping = ({ verify }: BoundSource): boolean => verify.protects === 'body';

/** Verifies kept deliveries: with the secrets of now that are valid for the time when it came, by its clock. */
export const verifyAgain =
  (sources: readonly BoundSource[]): VerifyAgain =>
  async ({ source: name, receivedAt, method, url, headers, body }) => {
    const source = sources.find((each) => each.name === name);
    if (source === undefined) return { verified: false, cause: 'source_unknown' };
    const nowMs = receivedAt.getTime();
    const secrets = validSecrets(source.secrets, nowMs);
    if (secrets.length === 0 && source.verify.needsSecret) {
      return { verified: false, cause: 'no_secret' };
    }
    const request = { method, headers, body, ...(url === undefined ? {} : { url }) };
    const verification = await source.verify.verify(request, { secrets, nowMs });
    if (verification.status === 'unavailable') {
      throw new TidegateError(
        'keys_unavailable',
        'The keys to verify this delivery with cannot be fetched now: ask again.',
      );
    }
    if (verification.status !== 'verified') return { verified: false, cause: verification.cause };
    const { secretIndex } = verification;
    if (secretIndex === undefined) return { verified: true };
    const text = secrets[secretIndex];
    return { verified: true, secret: source.secrets.findIndex((each) => each.text === text) + 1 };
  };
