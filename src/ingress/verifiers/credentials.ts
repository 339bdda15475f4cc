/**
 * What a provider shows instead of signing. Whoever sees one request can send another body with it, so a
 * source with one of these must say `bodyUnprotected: true`.
 */
import { X509Certificate } from 'node:crypto';
import { decodeStrictly, indexOfMatch, isSameText } from './bytes.ts';
import { isObject, jsonObject } from './json-body.ts';
import { refuseBlankSecrets } from './recipe.ts';
import {
  isBlank,
  isRefused,
  oneHeader,
  type Refused,
  refused,
  type SignedRequest,
  type Verifier,
} from './verifier.ts';

interface Credential {
  readonly scheme: string;
  /** What the request shows, in the form that the secret has. */
  readonly shown: (request: SignedRequest, nowMs: number) => { readonly value: string } | Refused;
  readonly secretProblem?: (secret: string) => string | undefined;
  /** A secret in the form that is compared. @default the secret */
  readonly secretForm?: (secret: string) => string;
}

const blankProblem = (secret: string): string | undefined =>
  isBlank(secret) ? 'must not be empty or blank' : undefined;

function credentialVerifier({ scheme, shown, ...options }: Credential): Verifier {
  const { secretProblem = blankProblem, secretForm = (secret) => secret } = options;
  return {
    scheme,
    protects: 'nothing',
    needsUrl: false,
    needsSecret: true,
    secretProblem,
    verify(request, { secrets, nowMs }) {
      refuseBlankSecrets(secrets);
      const found = shown(request, nowMs);
      if (isRefused(found)) return found;
      const secretIndex = indexOfMatch(secrets, (secret) =>
        isSameText(secretForm(secret), found.value),
      );
      return secretIndex === -1
        ? refused('credential_mismatch')
        : { status: 'verified', secretIndex };
    },
  };
}

/** `Authorization: Bearer <secret>`. */
export const bearerToken = (): Verifier =>
  credentialVerifier({
    scheme: 'bearer',
    shown({ headers }) {
      const header = oneHeader(headers, 'authorization');
      if (isRefused(header)) return header;
      const token = /^Bearer +(\S+)$/i.exec(header.value)?.[1];
      return token === undefined ? refused('header_malformed') : { value: token };
    },
  });

/** `Authorization: Basic …`; the secret is `user:password`, and only its first colon separates. Chargebee, Postmark. */
export const basicCredentials = (): Verifier =>
  credentialVerifier({
    scheme: 'basic',
    secretProblem: (secret) =>
      /^[^:]+:.*\S/s.test(secret) ? undefined : 'must be user:password, neither of them empty',
    shown({ headers }) {
      const header = oneHeader(headers, 'authorization');
      if (isRefused(header)) return header;
      const encoded = /^Basic +(\S+)$/i.exec(header.value)?.[1] ?? '';
      const bytes = decodeStrictly(encoded, 'base64');
      return bytes === undefined ? refused('header_malformed') : { value: bytes.toString('utf8') };
    },
  });

/**
 * A header that is the secret itself: GitLab's `X-Gitlab-Token`, the `Authorization` that Okta's event
 * hooks and Auth0's log streams are given.
 */
export const headerToken = ({ header }: { readonly header: string }): Verifier =>
  credentialVerifier({
    scheme: 'header-token',
    shown: ({ headers }) => oneHeader(headers, header.toLowerCase()),
  });

export interface ClientCertificateOptions {
  /** The header that the proxy sets, such as `x-client-cert`. */
  readonly header: string;
  /** What is in it: the certificate as percent-encoded PEM (nginx, AWS), or its SHA-256 in hex. */
  readonly form: 'pem' | 'sha256';
}

/**
 * A client certificate that a proxy has checked and hands on in a header; the secret is the certificate's
 * SHA-256 fingerprint. A certificate is no secret: this is only as good as the proxy, which must ask for
 * the certificate, overwrite the header on every request, and be the only way to the ingress.
 */
export const clientCertificateHeader = (options: ClientCertificateOptions): Verifier =>
  credentialVerifier({
    scheme: 'client-certificate',
    secretProblem: (secret) =>
      /^[\da-f]{64}$/.test(fingerprint(secret))
        ? undefined
        : 'must be the SHA-256 fingerprint of a certificate in hex',
    secretForm: fingerprint,
    shown({ headers }, nowMs) {
      const header = oneHeader(headers, options.header.toLowerCase());
      if (isRefused(header)) return header;
      return options.form === 'sha256'
        ? { value: fingerprint(header.value) }
        : certificateFingerprint(header.value, nowMs);
    },
  });

const fingerprint = (text: string): string => text.replaceAll(':', '').toLowerCase();

function certificateFingerprint(text: string, nowMs: number): { readonly value: string } | Refused {
  try {
    const { validFrom, validTo, fingerprint256 } = new X509Certificate(decodeURIComponent(text));
    return Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo)
      ? { value: fingerprint(fingerprint256) }
      : refused('certificate_refused');
  } catch {
    return refused('header_malformed');
  }
}

/**
 * Microsoft Graph's change notifications: every one of a request carries the `clientState` of its
 * subscription. Nothing else is protected: read the resource again from Graph.
 */
export const microsoftGraphClientState = (): Verifier =>
  credentialVerifier({
    scheme: 'microsoft-graph',
    shown({ body }) {
      const items = jsonObject(body)?.value;
      if (!Array.isArray(items) || items.length === 0) return refused('body_malformed');
      const states = items.map((item) => (isObject(item) ? item.clientState : undefined));
      const [state] = states;
      if (typeof state !== 'string') return refused('body_malformed');
      // One foreign notification makes the whole request foreign.
      return states.every((each) => each === state)
        ? { value: state }
        : refused('credential_mismatch');
    },
  });
