import { hmac } from './algorithms.ts';
import { decodeStrictly, indexOfMatch, isSameText, sha256 } from './bytes.ts';
import { calledUrl, refuseBlankSecrets } from './recipe.ts';
import {
  isRefused,
  oneHeader,
  refused,
  type SignedRequest,
  type Verification,
  type VerificationKeys,
  type Verifier,
} from './verifier.ts';

const algorithm = hmac('sha1', 'text');

/**
 * Twilio, with the primary auth token: HMAC-SHA1 over the address and, for a form, its sorted fields; for
 * any other body the address carries the body's hash. No time is signed. Twilio puts nothing between a
 * field's name and its value, so take nothing from a form but the fields that you expect.
 */
export const twilioSignature = (): Verifier => ({
  scheme: 'twilio',
  protects: 'body',
  needsUrl: true,
  needsSecret: true,
  secretProblem: algorithm.secretProblem,
  verify,
});

function verify(request: SignedRequest, { secrets }: VerificationKeys): Verification {
  refuseBlankSecrets(secrets);
  const header = oneHeader(request.headers, 'x-twilio-signature');
  if (isRefused(header)) return header;
  const given = decodeStrictly(header.value, 'base64');
  if (given === undefined || !algorithm.isSignature(given)) return refused('header_malformed');
  const url = calledUrl(request.url, 'twilio');
  const fields = signedFields(request, url);
  if (typeof fields !== 'string') return fields;
  const contents = addressForms(url).map((form) => Buffer.from(form + fields));
  const secretIndex = indexOfMatch(secrets, (secret) =>
    contents.some((content) => algorithm.matches(secret, [content], [given])),
  );
  if (secretIndex === -1) return refused('signature_mismatch');
  // The order of a form's fields is not signed, so the body's hash identifies nothing.
  return { status: 'verified', secretIndex, signedId: sha256(url + fields).toString('hex') };
}

/** What follows the address in the signed text: a form's fields; nothing where the address has the body's hash. */
function signedFields(
  { headers, body }: SignedRequest,
  url: string,
): string | ReturnType<typeof refused> {
  const hash = new URLSearchParams(url.split('?')[1] ?? '').getAll('bodySHA256');
  if (hash.length === 1) {
    return isSameText(hash[0]?.toLowerCase() ?? '', sha256(body).toString('hex'))
      ? ''
      : refused('body_hash_mismatch');
  }
  const type = oneHeader(headers, 'content-type');
  const isForm =
    !isRefused(type) && /^application\/x-www-form-urlencoded\b/i.test(type.value.trim());
  // Else the body could be anything.
  if (hash.length > 1 || (body.length > 0 && !isForm)) return refused('body_hash_mismatch');
  return sortedFields(new URLSearchParams(Buffer.from(body).toString('utf8')));
}

function sortedFields(form: URLSearchParams): string {
  return [...new Set(form.keys())]
    .sort()
    .map((name) => {
      const values = [...new Set(form.getAll(name))].sort();
      return values.map((value) => name + value).join('');
    })
    .join('');
}

/** Twilio signs the address with or without the port that its scheme has anyway. */
function addressForms(url: string): readonly string[] {
  const match = /^(https?):\/\/([^/?#:]+|\[[^\]]*\])(:\d+)?(.*)$/s.exec(url);
  if (match === null) return [url];
  const [, scheme, host, port, rest] = match;
  const usual = scheme === 'https' ? ':443' : ':80';
  if (port !== undefined && port !== usual) return [url];
  return [`${scheme}://${host}${rest}`, `${scheme}://${host}${usual}${rest}`];
}
