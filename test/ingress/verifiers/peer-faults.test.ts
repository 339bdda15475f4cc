/** What other engines and packages got wrong, one test for each, and the particulars of single schemes. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { describe, it } from 'mocha';
import {
  basicCredentials,
  boxSignature,
  docusignSignature,
  githubSignature,
  hmacSignature,
  hubspotSignature,
  jiraSignature,
  paddleSignature,
  type SignedRequest,
  shopifySignature,
  slackHandshake,
  slackSignature,
  standardWebhooksPublicKeySignature,
  standardWebhooksSignature,
  stripeSignature,
  svixSignature,
  type Verifier,
  webflowSignature,
} from 'tidegate/ingress';
import { readText, repositoryFiles } from '../../repository/files.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const SECONDS = String(NOW / 1_000);
const BODY = '{ "amount": 1.0 }';
const hmac = (
  text: string,
  encoding: 'hex' | 'base64' = 'hex',
  secret: string | Buffer = 'secret',
): string => createHmac('sha256', secret).update(text).digest(encoding);

async function causeOf(
  verifier: Verifier,
  headers: SignedRequest['headers'],
  {
    body = BODY,
    secrets = ['secret'],
    url,
  }: { body?: string; secrets?: string[]; url?: string } = {},
): Promise<string> {
  const request = { method: 'POST', headers, body: Buffer.from(body) };
  const found = await verifier.verify(url === undefined ? request : { ...request, url }, {
    secrets,
    nowMs: NOW,
  });
  return found.status === 'verified' ? 'verified' : found.cause;
}
const stripe = (value: string, secrets = ['secret']) =>
  causeOf(stripeSignature(), { 'stripe-signature': value }, { secrets });
const right = hmac(`${SECONDS}.${BODY}`);
const wrong = '0'.repeat(64);

describe('What others got wrong', () => {
  it('keeping the last of several v1 only', async () => {
    assert.equal(await stripe(`t=${SECONDS},v1=${right},v1=${wrong}`), 'verified');
    assert.equal(await stripe(`t=${SECONDS},v1=${wrong},v1=${right},v0=${wrong}`), 'verified');
    assert.equal(await stripe(`v1=${right},t=${SECONDS}`), 'verified');
  });

  it('taking times in the future', async () => {
    const ahead = String(NOW / 1_000 + 301);
    const signed = hmac(`${ahead}.${BODY}`);
    assert.equal(await stripe(`t=${ahead},v1=${signed}`), 'timestamp_future');
    const slack = {
      'x-slack-request-timestamp': ahead,
      'x-slack-signature': `v0=${hmac(`v0:${ahead}:${BODY}`)}`,
    };
    assert.equal(await causeOf(slackSignature(), slack), 'timestamp_future');
  });

  it('taking real events that have a challenge for a handshake', () => {
    const deliver = (payload: Readonly<Record<string, string>>) =>
      slackHandshake({ payload, headers: {}, bodyHash: '' });
    assert.equal(deliver({ type: 'event_callback', challenge: 'c' }), undefined);
    assert.deepEqual(deliver({ type: 'url_verification', challenge: 'c' }), {
      status: 200,
      json: { challenge: 'c' },
    });
  });

  it('splitting a header at = where base64 has its padding', async () => {
    const verifier = hmacSignature({ header: 'x-sig', prefix: 'sig=', encoding: 'base64' });
    const padded = hmac(BODY, 'base64');
    assert.match(padded, /=$/);
    assert.equal(await causeOf(verifier, { 'x-sig': `sig=${padded}` }), 'verified');
    const list = hmacSignature({
      header: 'x-sig',
      prefix: 'v1=',
      separator: ',',
      encoding: 'base64',
    });
    assert.equal(await causeOf(list, { 'x-sig': `v2=x==,v1=${padded}` }), 'verified');
  });

  it('refusing a password with a colon', async () => {
    const headers = { authorization: `Basic ${Buffer.from('user:pa:ss').toString('base64')}` };
    assert.equal(
      await causeOf(basicCredentials(), headers, { secrets: ['user:pa:ss'] }),
      'verified',
    );
    assert.equal(
      await causeOf(basicCredentials(), headers, { secrets: ['user:pa'] }),
      'credential_mismatch',
    );
  });

  it('comparing in a time that tells: timingSafeEqual is in one place, and all goes there', () => {
    const files = repositoryFiles().filter((path) => path.startsWith('src/ingress/verifiers/'));
    const users = files.filter((path) => readText(path).includes('timingSafeEqual('));
    assert.deepEqual(users, ['src/ingress/verifiers/bytes.ts']);
    const compared = /[!=]== *(secret|signature|given|expected|token|digest)\b|\.equals\(/;
    assert.deepEqual(
      files.filter((path) => compared.test(readText(path))),
      [],
    );
  });

  it('writing the body again before hashing it', async () => {
    for (const body of ['{"a":1.0}', '{"a": 1}', '{"a":"\\u00e9"}', '{"a":1}\n', '\uFEFF{}']) {
      const headers = { 'x-hub-signature-256': `sha256=${hmac(body)}` };
      assert.equal(await causeOf(githubSignature(), headers, { body }), 'verified', body);
      const rewritten = JSON.stringify(JSON.parse(body.replace('\uFEFF', '')));
      assert.equal(
        await causeOf(githubSignature(), headers, { body: rewritten }),
        'signature_mismatch',
      );
    }
  });

  it('decoding whsec_ where it is text, or not where it is base64', async () => {
    const secret = `whsec_${Buffer.alloc(24, 5).toString('base64')}`;
    const key = Buffer.alloc(24, 5);
    const asText = hmac(`${SECONDS}.${BODY}`, 'hex', secret);
    const asBytes = hmac(`${SECONDS}.${BODY}`, 'hex', key);
    assert.equal(await stripe(`t=${SECONDS},v1=${asText}`, [secret]), 'verified');
    assert.equal(await stripe(`t=${SECONDS},v1=${asBytes}`, [secret]), 'signature_mismatch');
    const standard = (used: string | Buffer) => ({
      'webhook-id': 'm1',
      'webhook-timestamp': SECONDS,
      'webhook-signature': `v1,${hmac(`m1.${SECONDS}.${BODY}`, 'base64', used)}`,
    });
    const options = { secrets: [secret] };
    assert.equal(await causeOf(standardWebhooksSignature(), standard(key), options), 'verified');
    assert.equal(
      await causeOf(standardWebhooksSignature(), standard(secret), options),
      'signature_mismatch',
    );
  });

  it('taking milliseconds for seconds, or seconds for milliseconds', async () => {
    const ms = String(NOW);
    assert.equal(await stripe(`t=${ms},v1=${hmac(`${ms}.${BODY}`)}`), 'timestamp_malformed');
    const webflow = (time: string) => ({
      'x-webflow-timestamp': time,
      'x-webflow-signature': hmac(`${time}:${BODY}`),
    });
    assert.equal(await causeOf(webflowSignature(), webflow(ms)), 'verified');
    assert.equal(await causeOf(webflowSignature(), webflow(SECONDS)), 'timestamp_malformed');
  });

  it('checking with an empty secret', async () => {
    for (const secret of ['', ' ', '\n']) {
      const signed = hmac(`${SECONDS}.${BODY}`, 'hex', secret);
      await assert.rejects(stripe(`t=${SECONDS},v1=${signed}`, [secret]), {
        code: 'config_invalid',
      });
    }
  });

  it('judging one of two times and signing the other', async () => {
    const old = '1500000000';
    const signed = hmac(`${old}.${BODY}`);
    for (const value of [`t=${SECONDS},t=${old}`, `t=${old},t=${SECONDS}`]) {
      assert.equal(await stripe(`${value},v1=${signed}`), 'timestamp_malformed');
    }
    const twice = { 'paddle-signature': `ts=${SECONDS};ts=${old};h1=${hmac(`${old}:${BODY}`)}` };
    assert.equal(await causeOf(paddleSignature(), twice), 'timestamp_malformed');
  });

  it('taking an id or a time that is not signed', () => {
    const header = { header: 'x-sig', encoding: 'hex' } as const;
    for (const options of [
      { ...header, id: 'x-id' },
      { ...header, timestamp: { header: 'x-time', unit: 'seconds' } },
      { ...header, signed: '{timestamp}.{body}' },
      { ...header, signed: '{id}{body}' },
      { ...header, signed: '{body}{body}' },
      { ...header, signed: '{payload}' },
      { ...header, signed: '{body' },
    ] as const) {
      assert.throws(() => hmacSignature(options), { code: 'source_invalid' });
    }
    assert.throws(() => stripeSignature({ window: '-1m' as '1m' }), { code: 'duration_invalid' });
  });

  it('letting a digit change sides between time and body', async () => {
    const verifier = hmacSignature({
      header: 'x-sig',
      encoding: 'hex',
      signed: '{timestamp}{body}',
      timestamp: { header: 'x-time', unit: 'seconds' },
    });
    const signed = { 'x-sig': hmac(`${SECONDS}1`), 'x-time': SECONDS };
    assert.equal(await causeOf(verifier, signed, { body: '1' }), 'verified');
    const shifted = { ...signed, 'x-time': `${SECONDS}1` };
    assert.equal(await causeOf(verifier, shifted, { body: '' }), 'timestamp_malformed');
    const other = { ...signed, 'x-time': SECONDS.slice(0, -1) };
    const body = `${SECONDS.slice(-1)}1`;
    assert.equal(await causeOf(verifier, other, { body }), 'timestamp_malformed');
  });

  it('falling back to a weaker scheme', async () => {
    const sha1 = createHmac('sha1', 'secret').update(BODY).digest('hex');
    assert.equal(
      await causeOf(githubSignature(), { 'x-hub-signature': `sha1=${sha1}` }),
      'header_missing',
    );
    assert.equal(
      await causeOf(jiraSignature(), { 'x-hub-signature': `sha1=${sha1}` }),
      'signature_unknown',
    );
    assert.equal(
      await causeOf(
        hubspotSignature(),
        { 'x-hubspot-signature': 'x' },
        { url: 'https://a.example' },
      ),
      'header_missing',
    );
  });
});

describe('Particulars of single schemes', () => {
  it('Standard Webhooks: a label selects one algorithm', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
    const secrets = [`whpk_${raw.toString('base64')}`];
    const signature = signWith(null, Buffer.from(`m1.${SECONDS}.${BODY}`), privateKey);
    const headers = (label: string) => ({
      'webhook-id': 'm1',
      'webhook-timestamp': SECONDS,
      'webhook-signature': `${label},${signature.toString('base64')}`,
    });
    const verifier = standardWebhooksPublicKeySignature();
    assert.equal(await causeOf(verifier, headers('v1a'), { secrets }), 'verified');
    assert.equal(await causeOf(verifier, headers('v1'), { secrets }), 'signature_unknown');
  });

  it('Standard Webhooks: the id has a shape', async () => {
    const key = Buffer.alloc(24, 5);
    const secrets = [`whsec_${key.toString('base64')}`];
    for (const id of ['a b', 'é', 'x'.repeat(257)]) {
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': SECONDS,
        'webhook-signature': `v1,${hmac(`${id}.${SECONDS}.${BODY}`, 'base64', key)}`,
      };
      const cause = await causeOf(standardWebhooksSignature(), headers, { secrets });
      assert.equal(cause, 'header_malformed', id);
    }
  });

  it('Svix: its own headers win over the standard’s', async () => {
    const key = Buffer.alloc(24, 5);
    const secrets = [`whsec_${key.toString('base64')}`];
    const signed = (prefix: string, used: Buffer) => ({
      [`${prefix}-id`]: 'm1',
      [`${prefix}-timestamp`]: SECONDS,
      [`${prefix}-signature`]: `v1,${hmac(`m1.${SECONDS}.${BODY}`, 'base64', used)}`,
    });
    const other = Buffer.alloc(24, 6);
    const verdict = (headers: SignedRequest['headers']) =>
      causeOf(svixSignature(), headers, { secrets });
    assert.equal(
      await verdict({ ...signed('svix', key), ...signed('webhook', other) }),
      'verified',
    );
    assert.equal(
      await verdict({ ...signed('svix', other), ...signed('webhook', key) }),
      'signature_mismatch',
    );
  });

  it('Shopify: the newer header without X-', async () => {
    const headers = { 'shopify-hmac-sha256': hmac(BODY, 'base64') };
    assert.equal(await causeOf(shopifySignature(), headers), 'verified');
  });

  it('DocuSign: any of up to a hundred numbered headers', async () => {
    for (const number of [1, 2, 10, 100]) {
      const headers = {
        'x-docusign-signature-3': hmac('other', 'base64'),
        [`x-docusign-signature-${number}`]: hmac(BODY, 'base64'),
      };
      assert.equal(await causeOf(docusignSignature(), headers), 'verified', String(number));
    }
    const beyond = { 'x-docusign-signature-101': hmac(BODY, 'base64') };
    assert.equal(await causeOf(docusignSignature(), beyond), 'header_missing');
  });

  it('Box: the secondary signature while the primary key rotates', async () => {
    const time = '2026-11-21T04:00:00-08:00';
    const headers = {
      'box-delivery-timestamp': time,
      'box-signature-primary': hmac(`${BODY}${time}`, 'base64', 'gone'),
      'box-signature-secondary': hmac(`${BODY}${time}`, 'base64'),
    };
    assert.equal(await causeOf(boxSignature(), headers), 'verified');
  });

  it('HubSpot: decodes of the address what it says, and nothing else', async () => {
    const time = String(NOW);
    const signed = `POSThttps://a.example/hooks/hubspot?q=a:b@c&d=%20%25${BODY}${time}`;
    const headers = {
      'x-hubspot-request-timestamp': time,
      'x-hubspot-signature-v3': hmac(signed, 'base64'),
    };
    const url = 'https://a.example/hooks/hubspot?q=a%3Ab%40c&d=%20%25';
    assert.equal(await causeOf(hubspotSignature(), headers, { url }), 'verified');
  });
});
