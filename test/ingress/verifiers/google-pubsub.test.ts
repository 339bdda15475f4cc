import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, it } from 'mocha';
import { googlePubSubToken } from 'tidegate/ingress';

const NOW = Date.UTC(2026, 10, 21, 12);
const seconds = NOW / 1_000;
const AUDIENCE = 'https://hooks.acme.example/hooks/pubsub';
const ACCOUNT = 'push@acme.iam.gserviceaccount.com';
const ours = generateKeyPairSync('rsa', { modulusLength: 2048 });
const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(
  claims: Readonly<Record<string, unknown>> = {},
  { key = ours.privateKey, header = {} }: { key?: KeyObject; header?: object } = {},
): string {
  const content = [
    encode({ alg: 'RS256', kid: 'k1', typ: 'JWT', ...header }),
    encode({
      aud: AUDIENCE,
      iss: 'https://accounts.google.com',
      email: ACCOUNT,
      email_verified: true,
      iat: seconds - 10,
      exp: seconds + 3_590,
      ...claims,
    }),
  ].join('.');
  return `${content}.${createSign('sha256').update(content).sign(key).toString('base64url')}`;
}

const keySet = (kid: string): string =>
  JSON.stringify({ keys: [{ ...ours.publicKey.export({ format: 'jwk' }), kid, alg: 'RS256' }] });

function verifierWith(fetchText: (url: string) => Promise<string>) {
  const verifier = googlePubSubToken({ audience: AUDIENCE, serviceAccount: ACCOUNT, fetchText });
  return async (authorization: string | undefined, nowMs = NOW): Promise<string> => {
    const request = { method: 'POST', headers: { authorization }, body: Buffer.from('{}') };
    const found = await verifier.verify(request, { secrets: [], nowMs });
    return found.status === 'verified' ? 'verified' : found.cause;
  };
}

describe('The Google Pub/Sub verifier', () => {
  const verify = verifierWith(async () => keySet('k1'));
  const bearer = (text: string) => `Bearer ${text}`;

  it('takes a token of Google for this audience and account', async () => {
    assert.equal(await verify(bearer(token())), 'verified');
    assert.equal(await verify(bearer(token({ iss: 'accounts.google.com' }))), 'verified');
  });

  it('refuses every other claim', async () => {
    const refusals: readonly (readonly [object, string])[] = [
      [{ aud: 'https://other.example' }, 'audience_mismatch'],
      [{ iss: 'https://evil.example' }, 'claim_mismatch'],
      [{ email: 'other@acme.iam.gserviceaccount.com' }, 'claim_mismatch'],
      [{ email_verified: false }, 'claim_mismatch'],
      [{ email_verified: 'true' }, 'claim_mismatch'],
      [{ email: undefined }, 'claim_mismatch'],
      [{ exp: seconds - 61 }, 'timestamp_expired'],
      [{ exp: undefined }, 'claim_mismatch'],
      [{ iat: seconds + 61 }, 'timestamp_future'],
      [{ nbf: seconds + 61 }, 'claim_mismatch'],
    ];
    for (const [claims, cause] of refusals) {
      assert.equal(await verify(bearer(token({ ...claims }))), cause, JSON.stringify(claims));
    }
  });

  it('refuses a token that somebody else signed, or that names another algorithm', async () => {
    assert.equal(
      await verify(bearer(token({}, { key: foreign.privateKey }))),
      'signature_mismatch',
    );
    for (const alg of ['none', 'HS256', 'RS512', 'PS256']) {
      assert.equal(await verify(bearer(token({}, { header: { alg } }))), 'header_malformed');
    }
    const [head = '', claims = '', signature = ''] = token().split('.');
    const forged = [head, encode({ aud: AUDIENCE }), signature].join('.');
    assert.equal(await verify(bearer(forged)), 'signature_mismatch');
    assert.equal(await verify(bearer(`${head}.${claims}.`)), 'signature_mismatch');
  });

  it('refuses what is no token', async () => {
    assert.equal(await verify(undefined), 'header_missing');
    for (const text of ['x', 'a.b.c', token().split('.').slice(1).join('.')]) {
      assert.equal(await verify(bearer(text)), 'header_malformed');
    }
    assert.equal(await verify(`Basic ${token()}`), 'header_malformed');
  });

  it('fetches the keys from Google, and again for a key that it does not know, once a minute', async () => {
    const asked: string[] = [];
    let kid = 'old';
    const rotating = verifierWith(async (url) => {
      asked.push(url);
      return keySet(kid);
    });
    assert.equal(await rotating(bearer(token())), 'signature_mismatch');
    for (let times = 0; times < 100; times += 1) await rotating(bearer(token()));
    assert.equal(asked.length, 1);
    kid = 'k1';
    assert.equal(await rotating(bearer(token()), NOW + 61_000), 'verified');
    assert.equal(await rotating(bearer(token()), NOW + 62_000), 'verified');
    assert.deepEqual(asked, Array(2).fill('https://www.googleapis.com/oauth2/v3/certs'));
  });

  it('says that it cannot tell while the keys cannot be had', async () => {
    for (const text of ['not JSON', '{}', '{"keys":1}']) {
      assert.equal(await verifierWith(async () => text)(bearer(token())), 'keys_unavailable');
    }
    const away = verifierWith(async () => Promise.reject(new Error('away')));
    assert.equal(await away(bearer(token())), 'keys_unavailable');
  });
});
