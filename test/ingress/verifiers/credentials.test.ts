import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  adyenSignature,
  basicCredentials,
  bearerToken,
  clientCertificateHeader,
  defineSource,
  googlePubSubToken,
  headerToken,
  hmacSignature,
  mailgunSignature,
  microsoftGraphClientState,
} from 'tidegate/ingress';
import type { Verifier } from '../../../src/ingress/verifiers/verifier.ts';
import { selfSigned } from './certificate.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const toEvents = () => [];

async function causeOf(
  verifier: Verifier,
  headers: Readonly<Record<string, string | readonly string[]>>,
  secrets: readonly string[],
): Promise<string> {
  const request = { method: 'POST', headers, body: Buffer.from('{}') };
  const found = await verifier.verify(request, { secrets, nowMs: NOW });
  return found.status === 'verified' ? 'verified' : found.cause;
}

describe('A scheme that leaves the body unprotected', () => {
  const verifiers = [
    adyenSignature(),
    basicCredentials(),
    bearerToken(),
    clientCertificateHeader({ header: 'x-cert', form: 'sha256' }),
    googlePubSubToken({ audience: 'a', serviceAccount: 'b' }),
    headerToken({ header: 'x-gitlab-token' }),
    mailgunSignature(),
    microsoftGraphClientState(),
    hmacSignature({
      header: 'x',
      encoding: 'hex',
      signed: '{timestamp}',
      timestamp: { header: 't', unit: 'seconds' },
    }),
  ];
  for (const verify of verifiers) {
    it(`is refused until the source says so: ${verify.scheme}`, () => {
      assert.throws(() => defineSource({ name: 'vendor', verify, toEvents }), {
        code: 'source_invalid',
        message: /bodyUnprotected: true/,
      });
      defineSource({ name: 'vendor', verify, toEvents, bodyUnprotected: true });
    });
  }
});

describe('Basic credentials', () => {
  const verifier = basicCredentials();
  const basic = (text: string) => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });

  it('may have colons, commas and any letters in the password', async () => {
    for (const secret of ['user:pass:word', 'user:::', 'user:ü,é=', 'a:b@c..d']) {
      assert.equal(verifier.secretProblem(secret), undefined, secret);
      assert.equal(await causeOf(verifier, basic(secret), ['other:one', secret]), 'verified');
    }
  });

  it('are compared whole', async () => {
    for (const text of ['user', 'user:', 'user:pass', 'user:pass:word2', ':pass:word', '']) {
      const found = await causeOf(verifier, basic(text), ['user:pass:word']);
      assert.match(found, /^(credential_mismatch|header_malformed)$/, text);
    }
  });

  it('have a user and a password', () => {
    for (const secret of ['', 'user', 'user:', 'user: ', ':password']) {
      assert.notEqual(verifier.secretProblem(secret), undefined, secret);
    }
  });

  it('come once, as base64', async () => {
    const right = basic('user:pass');
    for (const authorization of ['Basic', 'Basic !', 'Bearer x', 'user:pass', 'Basic a b']) {
      assert.equal(await causeOf(verifier, { authorization }, ['user:pass']), 'header_malformed');
    }
    const twice = { authorization: [right.authorization, right.authorization] };
    assert.equal(await causeOf(verifier, twice, ['user:pass']), 'header_repeated');
    assert.equal(await causeOf(verifier, {}, ['user:pass']), 'header_missing');
  });
});

describe('A bearer token or a header that is the secret', () => {
  it('is compared whole', async () => {
    const bearer = (token: string) =>
      causeOf(bearerToken(), { authorization: `Bearer ${token}` }, ['one', 'token']);
    assert.equal(await bearer('token'), 'verified');
    for (const token of ['toke', 'tokens', 'TOKEN']) {
      assert.equal(await bearer(token), 'credential_mismatch');
    }
    const gitlab = headerToken({ header: 'X-Gitlab-Token' });
    assert.equal(await causeOf(gitlab, { 'x-gitlab-token': 'token' }, ['token']), 'verified');
    assert.equal(
      await causeOf(gitlab, { 'x-gitlab-token': 'token ' }, ['token']),
      'credential_mismatch',
    );
  });

  it('is never an empty one', async () => {
    for (const secrets of [[''], [' '], []]) {
      await assert.rejects(causeOf(bearerToken(), { authorization: 'Bearer ' }, secrets), {
        code: 'config_invalid',
      });
    }
  });
});

describe('A client certificate in a header', () => {
  const { pem } = selfSigned('2026-01-01', '2027-01-01');
  const verifier = clientCertificateHeader({ header: 'X-Client-Cert', form: 'pem' });

  it('is known by its fingerprint, as long as it is valid', async () => {
    const { X509Certificate } = await import('node:crypto');
    const secret = new X509Certificate(pem).fingerprint256;
    assert.equal(verifier.secretProblem(secret), undefined);
    const header = { 'x-client-cert': encodeURIComponent(pem) };
    assert.equal(await causeOf(verifier, header, [secret]), 'verified');
    assert.equal(await causeOf(verifier, header, ['00'.repeat(32)]), 'credential_mismatch');
    const over = {
      'x-client-cert': encodeURIComponent(selfSigned('2025-01-01', '2026-01-01').pem),
    };
    assert.equal(await causeOf(verifier, over, [secret]), 'certificate_refused');
    for (const text of ['%', 'no certificate']) {
      assert.equal(
        await causeOf(verifier, { 'x-client-cert': text }, [secret]),
        'header_malformed',
      );
    }
    const byDigest = clientCertificateHeader({ header: 'x-digest', form: 'sha256' });
    const digest = { 'x-digest': secret.replaceAll(':', '').toLowerCase() };
    assert.equal(await causeOf(byDigest, digest, [secret]), 'verified');
  });

  it('is no secret unless it is a fingerprint', () => {
    for (const secret of ['', 'abc', pem])
      assert.notEqual(verifier.secretProblem(secret), undefined);
  });
});
