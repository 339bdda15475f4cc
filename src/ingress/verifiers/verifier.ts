/**
 * The words of verification. A verifier decides from what it is given, time included: whether a request
 * comes from who holds one of the secrets, and if not, why. The cause is for our log and metrics; the
 * sender is only told that there is no signature, or not a good one.
 */

/** A request as it came: nothing decoded, joined or trimmed. */
export interface SignedRequest {
  readonly method: string;
  /** The address that the provider called, from configuration; schemes that sign it need it. */
  readonly url?: string;
  /** Lower-case names. Several values are a header that came several times. */
  readonly headers: RequestHeaders;
  readonly body: Uint8Array;
}

export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Why a request was refused. A cause never changes its meaning: it is a label of metrics. */
export const REFUSAL_CAUSES = [
  'header_missing',
  'header_repeated',
  'header_malformed',
  'signature_unknown',
  'signature_mismatch',
  'timestamp_malformed',
  'timestamp_expired',
  'timestamp_future',
  'body_malformed',
  'body_hash_mismatch',
  'credential_mismatch',
  'certificate_refused',
  'claim_mismatch',
  'audience_mismatch',
  'keys_unavailable',
] as const;
export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

export type Refused = {
  /** `unavailable`: a key could not be fetched, so that nothing is known yet. */
  readonly status: 'missing' | 'invalid' | 'expired' | 'future' | 'unavailable';
  readonly cause: RefusalCause;
};

export type Verification =
  | {
      readonly status: 'verified';
      /** Which of the secrets it was, by its place; absent where there are none. */
      readonly secretIndex?: number;
      /**
       * What identifies the delivery and cannot be changed by who repeats it. Absent: the hash of the
       * body does.
       */
      readonly signedId?: string;
    }
  | Refused;

export interface VerificationKeys {
  /** Those that are valid now, never empty strings. */
  readonly secrets: readonly string[];
  readonly nowMs: number;
}

/** Whether a request comes from who it says, over exactly the bytes that came. */
export interface Verifier {
  /** A word for logs and docs, such as `stripe`. */
  readonly scheme: string;
  /** `nothing`: who repeats a request may change its body, and the source must say `bodyUnprotected`. */
  readonly protects: 'body' | 'nothing';
  /** Whether the request's address is signed, so that TIDEGATE_PUBLIC_URL must be set. */
  readonly needsUrl: boolean;
  /** Whether the source needs TIDEGATE_SOURCE_<NAME>_SECRET. */
  readonly needsSecret: boolean;
  /** What is wrong with a secret, without repeating it; checked at the start of a process. */
  readonly secretProblem: (secret: string) => string | undefined;
  readonly verify: (
    request: SignedRequest,
    keys: VerificationKeys,
  ) => Verification | Promise<Verification>;
}

const STATUS_OF: Readonly<Record<RefusalCause, Refused['status']>> = {
  header_missing: 'missing',
  header_repeated: 'invalid',
  header_malformed: 'invalid',
  signature_unknown: 'invalid',
  signature_mismatch: 'invalid',
  timestamp_malformed: 'invalid',
  timestamp_expired: 'expired',
  timestamp_future: 'future',
  body_malformed: 'invalid',
  body_hash_mismatch: 'invalid',
  credential_mismatch: 'invalid',
  certificate_refused: 'invalid',
  claim_mismatch: 'invalid',
  audience_mismatch: 'invalid',
  keys_unavailable: 'unavailable',
};

export const refused = (cause: RefusalCause): Refused => ({ status: STATUS_OF[cause], cause });

export const isRefused = (value: object): value is Refused => 'cause' in value;

/** The value of a header that must be there once. Node would join two into a list, and a list is another thing. */
export function oneHeader(
  headers: RequestHeaders,
  name: string,
): { readonly value: string } | Refused {
  const found = headers[name];
  const values = typeof found === 'string' ? [found] : (found ?? []);
  const [value] = values;
  if (value === undefined || value === '') return refused('header_missing');
  return values.length === 1 ? { value } : refused('header_repeated');
}

/** HMAC takes an empty key, and then everybody can sign. */
export const isBlank = (secret: string): boolean => secret.trim() === '';
