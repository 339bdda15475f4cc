import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  adyenSignature,
  awsSnsSignature,
  basicCredentials,
  bearerToken,
  clientCertificateHeader,
  googlePubSubToken,
  mailgunSignature,
  microsoftGraphClientState,
  twilioSignature,
} from 'tidegate/ingress';
import { SCHEMES, type Scheme, URL_OF_TESTS } from './schemes.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const TOPIC = 'arn:aws:sns:eu-west-1:123456789012:orders';
const away = async () => Promise.reject(new Error('away'));

const others = [
  adyenSignature(),
  awsSnsSignature({ topicArns: [TOPIC], fetchText: away }),
  basicCredentials(),
  bearerToken(),
  clientCertificateHeader({ header: 'x-cert', form: 'pem' }),
  googlePubSubToken({ audience: 'a', serviceAccount: 'b', fetchText: away }),
  mailgunSignature(),
  microsoftGraphClientState(),
  twilioSignature(),
];
const verifiers = [
  ...others.map((verifier) => ({ verifier, secret: 'a-secret-that-nobody-guesses', names: [] })),
  ...SCHEMES.map((scheme) => ({ ...scheme, names: headerNames(scheme) })),
];

function headerNames(scheme: Scheme): readonly string[] {
  const signing = { body: Buffer.from('{}'), atMs: NOW, secret: scheme.secret };
  return Object.keys(scheme.headers('', signing));
}

/** Parts that signature headers are made of, in any order. */
const header = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        ...['t=', 'ts=', 'v0=', 'v1=', 'v1,', 'v1a,', 'h1=', 'sha256=', 'HMAC ', 'Basic '],
        ...['Bearer ', ',', ';', ' ', '=', String(NOW / 1_000), String(NOW), 'a'.repeat(64), '%'],
        ...[
          `${'A'.repeat(43)}=`,
          `MEUC${'A'.repeat(92)}`,
          'AAAA',
          'e30.e30.e30',
          '.',
          '{}',
          '\u0000',
        ],
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
);
const value = fc.oneof(header, fc.array(header, { maxLength: 3 }));
const body = fc.oneof(
  fc.json(),
  fc.string(),
  fc.constantFrom(
    '{"value":[{}]}',
    '{"notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"AAAA"}}}]}',
    '{"signature":{"timestamp":"1795262400","token":"aaaaaaaaaaaaaaaaaaaa","signature":"00"}}',
    `{"Type":"__proto__","Signature":"AAAA","TopicArn":"${TOPIC}"}`,
    '{"Type":"Notification","Signature":"AAAA","SigningCertURL":{},"TopicArn":[]}',
    '['.repeat(100_000),
  ),
);

describe('A verifier that is sent anything', () => {
  for (const { verifier, secret, names } of verifiers) {
    it(`answers, and never with yes: ${verifier.scheme}`, async () => {
      const common = ['authorization', 'content-type', 'x-cert', 'x-twilio-signature'];
      const record = Object.fromEntries([...common, ...names].map((name) => [name, value]));
      await fc.assert(
        fc.asyncProperty(
          fc.record(record, { requiredKeys: [...names] }),
          body,
          async (headers, text) => {
            const request = { method: 'POST', headers, url: URL_OF_TESTS, body: Buffer.from(text) };
            const found = await verifier.verify(request, { secrets: [secret], nowMs: NOW });
            assert.notEqual(found.status, 'verified');
          },
        ),
      );
    });
  }
});
