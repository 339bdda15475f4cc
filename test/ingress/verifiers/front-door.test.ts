/** Verification as a sender meets it: over HTTP, with what is answered, kept and remembered. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { after, before, describe, it } from 'mocha';
import {
  awsSnsSignature,
  bearerToken,
  bindSources,
  defineSource,
  discordEventHandshake,
  discordInteractionHandshake,
  discordSignature,
  dropboxSetup,
  dropboxSignature,
  githubSignature,
  microsoftGraphClientState,
  microsoftGraphSetup,
  oktaSetup,
  slackHandshake,
  slackSignature,
  squareSignature,
  standardWebhooksSignature,
  twilioSignature,
  woocommerceSetup,
  woocommerceSignature,
  xeroSignature,
  zoomHandshake,
  zoomSignature,
} from 'tidegate/ingress';
import { countRefusals } from '../../../src/ingress/refusals.ts';
import { LIMITS } from '../../../src/model/limits.ts';
import {
  countKept,
  post,
  send,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from '../support.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const SECONDS = String(NOW / 1_000);
const PUBLIC_URL = 'https://hooks.acme.example/prefix';
const discordKeys = generateKeyPairSync('ed25519');
const discordKey = discordKeys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);

const hmac = (secret: string | Buffer, text: string, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', secret).update(text).digest(encoding);
const JSON_TYPE = { 'content-type': 'application/json' };

const seen = {
  toEvents: ({ payload }: { payload: unknown }) => [{ type: 'thing.seen', data: payload as never }],
};

const sources = [
  defineSource({ name: 'slack', verify: slackSignature(), handshake: slackHandshake, ...seen }),
  defineSource({ name: 'zoom', verify: zoomSignature(), handshake: zoomHandshake, ...seen }),
  defineSource({
    name: 'discord',
    verify: discordSignature(),
    handshake: discordInteractionHandshake,
    ...seen,
  }),
  defineSource({ name: 'dropbox', verify: dropboxSignature(), setup: dropboxSetup, ...seen }),
  defineSource({
    name: 'graph',
    verify: microsoftGraphClientState(),
    bodyUnprotected: true,
    setup: microsoftGraphSetup,
    ...seen,
  }),
  defineSource({
    name: 'okta',
    verify: bearerToken(),
    bodyUnprotected: true,
    setup: oktaSetup,
    ...seen,
  }),
  defineSource({
    name: 'shop',
    verify: woocommerceSignature(),
    setup: woocommerceSetup,
    bodies: ['json', 'form'],
    ...seen,
  }),
  defineSource({ name: 'xero', verify: xeroSignature(), acknowledge: 200, ...seen }),
  defineSource({ name: 'standard', verify: standardWebhooksSignature(), ...seen }),
  defineSource({ name: 'code', verify: githubSignature(), ...seen }),
  defineSource({ name: 'square', verify: squareSignature(), ...seen }),
  defineSource({ name: 'twilio', verify: twilioSignature(), bodies: ['form'], ...seen }),
];
const secretOf = (name: string): string =>
  name === 'discord'
    ? discordKey.toString('hex')
    : name === 'standard'
      ? `whsec_${Buffer.alloc(24, 1).toString('base64')}`
      : `secret-of-${name}`;
const environment = Object.fromEntries(
  sources.map(({ name }) => [`TIDEGATE_SOURCE_${name.toUpperCase()}_SECRET`, secretOf(name)]),
);

describe('Verification over HTTP', () => {
  let ingress: TestIngress;
  const refusals = countRefusals();
  before(async () => {
    ingress = await startTestIngress({
      sources: bindSources(sources, environment),
      publicUrl: PUBLIC_URL,
      refusals,
      now: () => new Date(NOW),
    });
  });
  after(() => ingress.stop());

  const hook = (path: string, body: string, headers: Readonly<Record<string, string>>) =>
    post(`${ingress.url}/hooks/${path}`, body, { ...JSON_TYPE, ...headers });
  const slack = (body: string, secret = secretOf('slack')) =>
    hook('slack', body, {
      'X-Slack-Request-Timestamp': SECONDS,
      'X-Slack-Signature': `v0=${hmac(secret, `v0:${SECONDS}:${body}`)}`,
    });

  it('answers Slack’s challenge after verification only', async () => {
    const body = '{"type":"url_verification","challenge":"c1"}';
    const answer = await slack(body);
    assert.deepEqual([answer.status, answer.body], [200, { challenge: 'c1' }]);
    const forged = await slack(body, 'guess');
    assert.equal(forged.status, 401);
    assert.doesNotMatch(JSON.stringify(forged.body), /c1/);
    const unsigned = await hook('slack', body, {});
    assert.deepEqual([unsigned.status, unsigned.body.code], [401, 'signature_missing']);
  });

  it('takes a real event that has a member named challenge', async () => {
    const answer = await slack('{"type":"event_callback","challenge":"c1","event":{}}');
    assert.equal(answer.body.results?.[0]?.status, 'accepted');
  });

  it('keeps nothing of a handshake', async () => {
    const before = await countKept(ingress);
    await slack('{"type":"url_verification","challenge":"c2"}');
    assert.deepEqual(await countKept(ingress), before);
  });

  it('answers Discord’s PING when it is signed, and 401 when Discord probes', async () => {
    const discord = (body: string) => {
      const signature = signWith(null, Buffer.from(SECONDS + body), discordKeys.privateKey);
      return {
        'x-signature-ed25519': signature.toString('hex'),
        'x-signature-timestamp': SECONDS,
      };
    };
    const answer = await hook('discord', '{"type":1}', discord('{"type":1}'));
    assert.deepEqual([answer.status, answer.body], [200, { type: 1 }]);
    const probe = await hook('discord', '{"type":1}', discord('{"type":2}'));
    assert.equal(probe.status, 401);
    const command = '{"type":2,"id":"1"}';
    assert.equal((await hook('discord', command, discord(command))).status, 202);
    const delivery = (type: number) => ({ payload: { type }, headers: {}, bodyHash: '' });
    assert.deepEqual(discordEventHandshake(delivery(0)), { status: 204 });
    assert.equal(discordEventHandshake(delivery(1)), undefined);
  });

  it('signs for Zoom no token that could be an event', async () => {
    const zoom = (plainToken: unknown, secret = secretOf('zoom')) => {
      const body = JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken } });
      return hook('zoom', body, {
        'x-zm-request-timestamp': SECONDS,
        'x-zm-signature': `v0=${hmac(secret, `v0:${SECONDS}:${body}`)}`,
      });
    };
    const answer = await zoom('qgg8vlvZRS6UYooatFL8Aw');
    assert.deepEqual(answer.body, {
      plainToken: 'qgg8vlvZRS6UYooatFL8Aw',
      encryptedToken: hmac(secretOf('zoom'), 'qgg8vlvZRS6UYooatFL8Aw'),
    });
    assert.equal((await zoom('qgg8vlvZRS6UYooatFL8Aw', 'guess')).status, 401);
    for (const plainToken of [`v0:${SECONDS}:{}`, '', 'a'.repeat(65), 1, null]) {
      const other = await zoom(plainToken);
      assert.doesNotMatch(JSON.stringify(other.body), /encryptedToken/);
    }
  });

  it('repeats an unsigned challenge as plain text, and only what looks like one', async () => {
    const get = (path: string, headers = {}) => send(`${ingress.url}/hooks/${path}`, { headers });
    const dropbox = await fetch(`${ingress.url}/hooks/dropbox?challenge=ab%20c%2Bd`);
    assert.equal(await dropbox.text(), 'ab c+d');
    assert.match(dropbox.headers.get('content-type') ?? '', /^text\/plain/);
    assert.equal(dropbox.headers.get('x-content-type-options'), 'nosniff');
    for (const challenge of ['%3Cscript%3E', 'a'.repeat(1_025), '%00', '%C3%A9', '']) {
      const answer = await get(`dropbox?challenge=${challenge}`);
      assert.ok(answer.status === 401 || answer.status === 415, challenge);
    }
    const graph = await fetch(`${ingress.url}/hooks/graph?validationToken=Validation%3A%20x`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
    });
    assert.equal(await graph.text(), 'Validation: x');
    const okta = await get('okta', { 'X-Okta-Verification-Challenge': 'v1' });
    assert.deepEqual(okta.body, { verification: 'v1' });
    const shop = await fetch(`${ingress.url}/hooks/shop`, {
      method: 'POST',
      body: new URLSearchParams({ webhook_id: '12' }),
    });
    assert.deepEqual([shop.status, await shop.text()], [200, '']);
    const other = await post(`${ingress.url}/hooks/shop`, 'webhook_id=12&x=1', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    assert.equal(other.status, 401);
  });

  it('takes GET for no source that needs none', async () => {
    const answer = await send(`${ingress.url}/hooks/slack?challenge=1`, {});
    assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST']);
    assert.equal((await send(`${ingress.url}/hooks/nobody?challenge=1`, {})).status, 405);
  });

  it('answers Xero’s intent to receive: 200 without a body, or 401', async () => {
    const body = '{"events":[]}';
    const right = { 'x-xero-signature': hmac(secretOf('xero'), body, 'base64') };
    const answer = await fetch(`${ingress.url}/hooks/xero`, {
      method: 'POST',
      body,
      headers: { ...JSON_TYPE, ...right },
    });
    assert.deepEqual([answer.status, await answer.text()], [200, '']);
    const wrong = { 'x-xero-signature': hmac('guess', body, 'base64') };
    assert.equal((await hook('xero', body, wrong)).status, 401);
  });

  it('takes a signed id as the identity of the event, and an unsigned one never', async () => {
    const key = Buffer.alloc(24, 1);
    const standard = (id: string, body: string) =>
      hook('standard', body, {
        'webhook-id': id,
        'webhook-timestamp': SECONDS,
        'webhook-signature': `v1,${hmac(key, `${id}.${SECONDS}.${body}`, 'base64')}`,
      });
    const first = await standard('msg_1', '{"same":1}');
    assert.equal(first.body.results?.[0]?.id, 'msg_1');
    assert.equal((await standard('msg_1', '{"same":1}')).body.results?.[0]?.status, 'duplicate');
    assert.equal((await standard('msg_2', '{"same":1}')).body.results?.[0]?.status, 'accepted');

    const code = (delivery: string, body = '{"pushed":1}') =>
      hook('code', body, {
        'x-hub-signature-256': `sha256=${hmac(secretOf('code'), body)}`,
        'x-github-delivery': delivery,
        'webhook-id': delivery,
      });
    assert.equal((await code('d1')).body.results?.[0]?.status, 'accepted');
    assert.equal((await code('d2')).body.results?.[0]?.status, 'duplicate');
    assert.equal((await code('d1', '{"pushed":2}')).body.results?.[0]?.status, 'accepted');
  });

  it('signs the public address, whatever the Host header says', async () => {
    const body = '{"square":1}';
    const square = (url: string) =>
      hook('square?a=1', body, {
        'x-square-hmacsha256-signature': hmac(secretOf('square'), url + body, 'base64'),
        'x-forwarded-host': 'evil.example',
      });
    assert.equal((await square(`${PUBLIC_URL}/hooks/square?a=1`)).status, 202);
    assert.equal((await square(`${ingress.url}/hooks/square?a=1`)).status, 401);
  });

  it('hands a form on as its fields', async () => {
    const body = 'B=2&A=1&B=3';
    const signed = `${PUBLIC_URL}/hooks/twilioA1B2B3`;
    const signature = createHmac('sha1', secretOf('twilio')).update(signed).digest('base64');
    const answer = await hook('twilio', body, {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': signature,
    });
    const event = await storedEvent(ingress, answer.body.results?.[0]?.id ?? '');
    assert.deepEqual(event.data, { A: '1', B: ['2', '3'] });
  });

  it('refuses a signature header that comes twice, in any case', async () => {
    const body = '{"twice":1}';
    const signature = `sha256=${hmac(secretOf('code'), body)}`;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = ['Content-Type', 'application/json', 'Host', 'localhost'];
      headers.push('X-Hub-Signature-256', signature, 'x-hub-signature-256', signature);
      headers.push('Content-Length', String(body.length));
      httpRequest(`${ingress.url}/hooks/code`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end(body);
    });
    assert.equal(status, 401);
    const causes = refusals.counts().filter(({ source }) => source === 'code');
    assert.ok(causes.some(({ cause }) => cause === 'header_repeated'));
  });

  it('tells the sender of an old request no more than of a wrong one', async () => {
    const body = '{}';
    const old = String(NOW / 1_000 - 301);
    const answers = [
      await slack(body, 'guess'),
      await hook('slack', body, {
        'x-slack-request-timestamp': old,
        'x-slack-signature': `v0=${hmac(secretOf('slack'), `v0:${old}:${body}`)}`,
      }),
    ];
    assert.deepEqual(answers[0]?.body, answers[1]?.body);
    const causes = refusals.counts().map(({ source, cause }) => `${source} ${cause}`);
    assert.ok(causes.includes('slack timestamp_expired'));
    assert.ok(causes.includes('slack signature_mismatch'));
  });

  it('remembers a refused request by source, cause and size, and says so without its credentials', async () => {
    const before = refusals
      .counts()
      .find(({ source, cause }) => source === 'okta' && cause === 'credential_mismatch');
    assert.equal(before, undefined);
    ingress.log.length = 0;
    const times = LIMITS.refusalLinesMax + 5;
    for (let time = 0; time < times; time += 1) {
      await hook('okta', '{"stolen":1}', { authorization: 'Bearer the-guess-of-somebody' });
    }
    const counted = refusals
      .counts()
      .find(({ source, cause }) => source === 'okta' && cause === 'credential_mismatch');
    assert.deepEqual([counted?.count, counted?.bytes], [times, times * '{"stolen":1}'.length]);
    const lines = ingress.log.filter((line) => line.includes('refused a delivery'));
    assert.ok(lines.length <= LIMITS.refusalLinesMax && lines.length > 0);
    assert.match(lines[0] ?? '', /"source":"okta".*"cause":"credential_mismatch".*"bytes":12/);
    assert.doesNotMatch(ingress.log.join(), /the-guess-of-somebody|stolen/);
  });

  it('counts what is too large or of another type too', async () => {
    await hook('code', 'x', { 'content-type': 'text/html' });
    const causes = refusals.counts().map(({ source, cause }) => `${source} ${cause}`);
    assert.ok(causes.includes('code unsupported_media_type'));
  });

  it('is 503 while no secret is valid, and while a key cannot be had', async () => {
    const topicArn = 'arn:aws:sns:eu-west-1:123456789012:orders';
    const verify = awsSnsSignature({
      topicArns: [topicArn],
      fetchText: async () => Promise.reject(new Error('away')),
    });
    const other = await startTestIngress({
      now: () => new Date(NOW),
      sources: bindSources(
        [
          defineSource({ name: 'code', verify: githubSignature(), ...seen }),
          defineSource({ name: 'sns', verify, bodies: ['text'], ...seen }),
        ],
        { TIDEGATE_SOURCE_CODE_SECRET: 'secret@..2026-11-21' },
      ),
    });
    try {
      const signed = { 'x-hub-signature-256': `sha256=${hmac('secret', '{}')}` };
      const late = await post(`${other.url}/hooks/code`, '{}', { ...JSON_TYPE, ...signed });
      assert.deepEqual([late.status, late.body.code], [503, 'config_invalid']);
      const message = {
        Type: 'Notification',
        MessageId: '1',
        TopicArn: topicArn,
        Message: '{}',
        Timestamp: '',
        SignatureVersion: '2',
        Signature: 'AAAA',
        SigningCertURL: `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${'0'.repeat(32)}.pem`,
      };
      const text = { 'content-type': 'text/plain; charset=UTF-8' };
      const away = await post(`${other.url}/hooks/sns`, JSON.stringify(message), text);
      assert.deepEqual([away.status, away.body.code], [503, 'keys_unavailable']);
      assert.equal(away.headers.has('retry-after'), true);
    } finally {
      await other.stop();
    }
  });

  it('is 503 where the address is signed and nobody said what it is', async () => {
    const other = await startTestIngress({
      now: () => new Date(NOW),
      sources: bindSources(sources, environment),
    });
    try {
      const answer = await post(`${other.url}/hooks/square`, '{}', {
        ...JSON_TYPE,
        'x-square-hmacsha256-signature': hmac('x', 'x', 'base64'),
      });
      assert.deepEqual([answer.status, answer.body.code], [503, 'config_invalid']);
      assert.ok(other.log.some((line) => line.includes('TIDEGATE_PUBLIC_URL')));
    } finally {
      await other.stop();
    }
  });
});
