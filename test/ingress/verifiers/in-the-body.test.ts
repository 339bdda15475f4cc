/** Schemes that sign something else than the raw body as one: fields, a form, or a token beside it. */
import assert from 'node:assert/strict';
import { createHmac, sign as signWith } from 'node:crypto';
import { describe, it } from 'mocha';
import {
  adyenSignature,
  awsSnsHandshake,
  awsSnsSignature,
  mailgunSignature,
  microsoftGraphClientState,
  twilioSignature,
} from 'tidegate/ingress';
import { keyStore } from '../../../src/ingress/verifiers/key-store.ts';
import type { SignedRequest, Verifier } from '../../../src/ingress/verifiers/verifier.ts';
import { LIMITS } from '../../../src/model/limits.ts';
import { selfSigned } from './certificate.ts';

const NOW = Date.UTC(2026, 10, 21, 12);

async function causeOf(
  verifier: Verifier,
  request: Partial<SignedRequest>,
  secrets: readonly string[] = ['secret'],
): Promise<string> {
  const whole = { method: 'POST', headers: {}, body: Buffer.alloc(0), ...request };
  const found = await verifier.verify(whole, { secrets, nowMs: NOW });
  return found.status === 'verified' ? 'verified' : found.cause;
}

async function idOf(verifier: Verifier, request: Partial<SignedRequest>, secrets = ['secret']) {
  const whole = { method: 'POST', headers: {}, body: Buffer.alloc(0), ...request };
  const found = await verifier.verify(whole, { secrets, nowMs: NOW });
  return found.status === 'verified' ? found.signedId : assert.fail(found.cause);
}

describe('The Twilio verifier with a form', () => {
  const verifier = twilioSignature();
  const url = 'https://hooks.acme.example/hooks/twilio?a=1';
  const form = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' };
  const sign = (signed: string, secret = 'secret') =>
    createHmac('sha1', secret).update(signed).digest('base64');
  const request = (body: string, signature: string, headers: object = form) => ({
    url,
    body: Buffer.from(body),
    headers: { ...headers, 'x-twilio-signature': signature },
  });

  it('signs the decoded fields in the order of their names, repeated ones once', async () => {
    const signed = `${url}Body!0é +Body[]1Body[]2To+1`;
    const body = 'To=%2B1&Body%5B%5D=2&Body%5B%5D=1&Body%5B%5D=2&Body=%210%C3%A9%20%2B';
    assert.equal(await causeOf(verifier, request(body, sign(signed))), 'verified');
    const changed = body.replace('%2B1', '%2B2');
    assert.equal(await causeOf(verifier, request(changed, sign(signed))), 'signature_mismatch');
  });

  it('gives an identity that the order of the fields does not change', async () => {
    const signature = sign(`${url}A1B2`);
    const ids = [
      await idOf(verifier, request('A=1&B=2', signature)),
      await idOf(verifier, request('B=2&A=1', signature)),
      await idOf(verifier, request('B=2&A=%31&B=2', signature)),
    ];
    assert.equal(new Set(ids).size, 1);
  });

  it('takes the address with and without the port that it has anyway', async () => {
    const bare = 'https://hooks.acme.example/hooks/twilio?a=1';
    const withPort = bare.replace('.example', '.example:443');
    for (const signed of [bare, withPort]) {
      for (const called of [bare, withPort]) {
        const asked = { ...request('', sign(signed)), url: called };
        assert.equal(await causeOf(verifier, asked), 'verified', `${signed} as ${called}`);
      }
    }
    const other = { ...request('', sign(bare)), url: bare.replace('.example', '.example:8443') };
    assert.equal(await causeOf(verifier, other), 'signature_mismatch');
  });

  it('refuses a body that neither is a form nor has its hash in the address', async () => {
    const json = request('{"a":1}', sign(url), { 'content-type': 'application/json' });
    assert.equal(await causeOf(verifier, json), 'body_hash_mismatch');
    const twice = `${url}&bodySHA256=00&bodySHA256=11`;
    const asked = { ...json, url: twice };
    assert.equal(await causeOf(verifier, asked), 'body_hash_mismatch');
  });

  it('does not work without the address', async () => {
    const { url: _, ...asked } = request('', sign(url));
    await assert.rejects(causeOf(verifier, asked), { code: 'config_invalid' });
  });
});

describe('The Adyen verifier', () => {
  const verifier = adyenSignature();
  const key = '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056';
  const other = '00'.repeat(32);
  const item = {
    pspReference: '7914073381342284',
    merchantAccountCode: 'TestMerchant',
    merchantReference: 'TestPayment-1407325143704',
    amount: { value: 1130, currency: 'EUR' },
    eventCode: 'AUTHORISATION',
    success: 'true',
  };
  const signed =
    '7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true';
  const hmacSignature = createHmac('sha256', Buffer.from(key, 'hex'))
    .update(signed)
    .digest('base64');
  const body = (...items: readonly object[]) => ({
    body: Buffer.from(
      JSON.stringify({
        notificationItems: items.map((each) => ({ NotificationRequestItem: each })),
      }),
    ),
  });
  const good = { ...item, additionalData: { hmacSignature } };

  it('checks the example that Adyen publishes', () => {
    assert.equal(hmacSignature, 'coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=');
  });

  it('wants every item signed', async () => {
    assert.equal(await causeOf(verifier, body(good), [other, key]), 'verified');
    assert.equal(await causeOf(verifier, body(good), [other]), 'signature_mismatch');
    assert.equal(await causeOf(verifier, body(good, item), [key]), 'header_missing');
    const forged = { ...good, amount: { value: 1, currency: 'EUR' } };
    assert.equal(await causeOf(verifier, body(good, forged), [key]), 'signature_mismatch');
    assert.equal(await causeOf(verifier, body(), [key]), 'body_malformed');
    assert.equal(await causeOf(verifier, body(good), [other]), 'signature_mismatch');
  });

  it('gives an identity that unsigned fields do not change', async () => {
    const changed = { ...good, reason: 'somebody else' };
    assert.equal(
      await idOf(verifier, body(good), [key]),
      await idOf(verifier, body(changed), [key]),
    );
  });
});

describe('The Mailgun verifier', () => {
  const verifier = mailgunSignature();
  const token = 'a'.repeat(50);
  const delivery = (atMs: number, event = 'opened', secret = 'secret') => {
    const timestamp = String(atMs / 1_000);
    const signature = createHmac('sha256', secret)
      .update(timestamp + token)
      .digest('hex');
    const payload = { signature: { timestamp, token, signature }, 'event-data': { event } };
    return { body: Buffer.from(JSON.stringify(payload)) };
  };

  it('checks time and token, whose token is the identity whatever event comes with it', async () => {
    assert.equal(await causeOf(verifier, delivery(NOW)), 'verified');
    assert.equal(await idOf(verifier, delivery(NOW)), token);
    assert.equal(await idOf(verifier, delivery(NOW, 'forged')), token);
    assert.equal(await causeOf(verifier, delivery(NOW, 'opened', 'x')), 'signature_mismatch');
    assert.equal(await causeOf(verifier, delivery(NOW - 10 * 3_600_000)), 'timestamp_expired');
    assert.equal(await causeOf(verifier, delivery(NOW + 600_000)), 'timestamp_future');
    assert.equal(await causeOf(verifier, { body: Buffer.from('{}') }), 'header_missing');
    assert.equal(await causeOf(verifier, { body: Buffer.from('[]') }), 'body_malformed');
  });
});

describe('The Microsoft Graph verifier', () => {
  const body = (...states: readonly unknown[]) => ({
    body: Buffer.from(JSON.stringify({ value: states.map((clientState) => ({ clientState })) })),
  });
  it('wants the state in every notification of a request', async () => {
    const verifier = microsoftGraphClientState();
    assert.equal(await causeOf(verifier, body('secret', 'secret')), 'verified');
    assert.equal(await causeOf(verifier, body('secret', 'other')), 'credential_mismatch');
    assert.equal(await causeOf(verifier, body('other', 'other')), 'credential_mismatch');
    for (const broken of [body(), body(undefined), body(1), { body: Buffer.from('{}') }]) {
      assert.equal(await causeOf(verifier, broken), 'body_malformed');
    }
  });
});

describe('The AWS SNS verifier', () => {
  const topicArn = 'arn:aws:sns:eu-west-1:123456789012:orders';
  const certificateUrl = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${'0'.repeat(32)}.pem`;
  const { pem, privateKey } = selfSigned('2026-01-01', '2027-01-01');
  const asked: string[] = [];
  const verifier = (options: { readonly allowSha1?: boolean; readonly pem?: string } = {}) =>
    awsSnsSignature({
      topicArns: [topicArn],
      ...(options.allowSha1 === undefined ? {} : { allowSha1: options.allowSha1 }),
      fetchText: async (url) => {
        asked.push(url);
        return options.pem ?? pem;
      },
    });

  const notification = {
    Type: 'Notification',
    MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
    TopicArn: topicArn,
    Message: 'My "first" message\n',
    Timestamp: '2026-11-21T12:00:00.000Z',
    SignatureVersion: '2',
    SigningCertURL: certificateUrl,
  };
  const fieldsOf = (message: Readonly<Record<string, string>>) =>
    message.Type === 'Notification'
      ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
      : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
  const signed = (message: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
    const content = fieldsOf(message)
      .filter((name) => name in message)
      .map((name) => `${name}\n${message[name]}\n`)
      .join('');
    const hash = message.SignatureVersion === '1' ? 'sha1' : 'sha256';
    const Signature = signWith(hash, Buffer.from(content), privateKey).toString('base64');
    return { ...message, Signature };
  };
  const request = (message: object, indent?: number) => ({
    body: Buffer.from(JSON.stringify(message, null, indent)),
  });

  it('takes what the topic sends, by the id of the message, whatever the JSON looks like', async () => {
    for (const message of [notification, { ...notification, Subject: 'é' }]) {
      assert.equal(await causeOf(verifier(), request(signed(message)), []), 'verified');
    }
    for (const indent of [0, 2]) {
      assert.equal(
        await idOf(verifier(), request(signed(notification), indent), []),
        notification.MessageId,
      );
    }
  });

  it('signs the token of both kinds of confirmation', async () => {
    for (const Type of ['SubscriptionConfirmation', 'UnsubscribeConfirmation']) {
      const confirmation = { ...notification, Type, Token: 't1', SubscribeURL: 'https://x' };
      const message = signed(confirmation);
      assert.equal(await causeOf(verifier(), request(message), []), 'verified');
      const forged = { ...message, Token: 't2' };
      assert.equal(await causeOf(verifier(), request(forged), []), 'signature_mismatch');
    }
  });

  it('refuses the change of any signed field', async () => {
    const message = signed(notification);
    for (const field of ['Message', 'MessageId', 'Timestamp'] as const) {
      const forged = { ...message, [field]: `${message[field]}x` };
      assert.equal(await causeOf(verifier(), request(forged), []), 'signature_mismatch', field);
    }
    const added = { ...message, Subject: '' };
    assert.equal(await causeOf(verifier(), request(added), []), 'signature_mismatch');
  });

  it('refuses topics that are not its own without fetching anything', async () => {
    asked.length = 0;
    for (const TopicArn of [topicArn.replace('123', '999'), `${topicArn}2`, 'x']) {
      const message = signed({ ...notification, TopicArn });
      assert.equal(await causeOf(verifier(), request(message), []), 'audience_mismatch');
    }
    assert.deepEqual(asked, []);
  });

  it('fetches a certificate from SNS in the topic’s region and nowhere else', async () => {
    asked.length = 0;
    const path = new URL(certificateUrl).pathname;
    const urls = [
      `http://sns.eu-west-1.amazonaws.com${path}`,
      `https://sns.us-east-1.amazonaws.com${path}`,
      `https://sns.eu-west-1.amazonaws.com.evil.example${path}`,
      `https://sns.eu-west-1.amazonaws.com@evil.example${path}`,
      `https://evil.example/sns.eu-west-1.amazonaws.com${path}`,
      `https://sns.eu-west-1.amazonaws.com:8443${path}`,
      `https://sns.eu-west-1.amazonaws.com.cn${path}`,
      `https://SNS.eu-west-1.amazonaws.com${path}`,
      `${certificateUrl}?x=.pem`,
      `${certificateUrl}#.pem`,
      `https://sns.eu-west-1.amazonaws.com/?Action=GetTopicAttributes&x=.pem`,
      `https://sns.eu-west-1.amazonaws.com/a/..${path}`,
      `https://sns-eu-west-1.s3.amazonaws.com${path}`,
      certificateUrl.replace('.pem', '.pem\n'),
      '',
    ];
    for (const SigningCertURL of urls) {
      const message = signed({ ...notification, SigningCertURL });
      assert.equal(await causeOf(verifier(), request(message), []), 'certificate_refused');
    }
    assert.deepEqual(asked, []);
  });

  it('takes SHA-1 signatures when told to only', async () => {
    const message = signed({ ...notification, SignatureVersion: '1' });
    assert.equal(await causeOf(verifier(), request(message), []), 'signature_unknown');
    assert.equal(await causeOf(verifier({ allowSha1: true }), request(message), []), 'verified');
    const mislabelled = { ...message, SignatureVersion: '2' };
    assert.equal(await causeOf(verifier(), request(mislabelled), []), 'signature_mismatch');
  });

  it('refuses a certificate that is over, or none', async () => {
    const over = selfSigned('2025-01-01', '2026-01-01').pem;
    for (const found of [over, 'not a certificate', '']) {
      const cause = await causeOf(verifier({ pem: found }), request(signed(notification)), []);
      assert.equal(cause, 'certificate_refused');
    }
  });

  it('says that it cannot tell while the certificate cannot be fetched, and tries again', async () => {
    let isAway = true;
    const patient = awsSnsSignature({
      topicArns: [topicArn],
      fetchText: async () => (isAway ? Promise.reject(new Error('away')) : pem),
    });
    assert.equal(await causeOf(patient, request(signed(notification)), []), 'keys_unavailable');
    isAway = false;
    assert.equal(await causeOf(patient, request(signed(notification)), []), 'verified');
  });

  it('names its topics', () => {
    for (const topicArns of [[], ['orders'], [topicArn, '*']]) {
      assert.throws(() => awsSnsSignature({ topicArns }), { code: 'source_invalid' });
    }
  });

  it('confirms a subscription at SNS only, and never renews one that ends', async () => {
    const visited: string[] = [];
    const handshake = awsSnsHandshake({
      fetchText: async (url) => {
        visited.push(url);
        return '';
      },
    });
    const deliver = async (payload: Readonly<Record<string, string>>) =>
      handshake({ payload, headers: {}, bodyHash: '' });
    const SubscribeURL =
      'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=a&Token=b';
    const confirmation = { Type: 'SubscriptionConfirmation', TopicArn: topicArn, SubscribeURL };
    assert.deepEqual(await deliver(confirmation), { status: 200 });
    assert.deepEqual(visited, [SubscribeURL]);
    assert.deepEqual(await deliver({ ...confirmation, Type: 'UnsubscribeConfirmation' }), {
      status: 200,
    });
    assert.equal(await deliver(notification), undefined);
    const elsewhere = { ...confirmation, SubscribeURL: 'https://169.254.169.254/' };
    await assert.rejects(deliver(elsewhere), { code: 'signature_invalid' });
    assert.equal(visited.length, 1);
  });
});

describe('A store of fetched keys', () => {
  it('fetches once for all who ask at a time, and again after a day', async () => {
    let fetched = 0;
    const store = keyStore(async () => `copy ${++fetched}`);
    const both = await Promise.all([store.read('a', NOW), store.read('a', NOW)]);
    assert.deepEqual(both, ['copy 1', 'copy 1']);
    assert.equal(await store.read('a', NOW + 3_600_000), 'copy 1');
    assert.equal(await store.read('a', NOW + 25 * 3_600_000), 'copy 2');
  });

  it('keeps a copy that is good when a newer one cannot be had', async () => {
    let isAway = false;
    const store = keyStore(async () => (isAway ? Promise.reject(new Error('away')) : 'copy'));
    await store.read('a', NOW);
    isAway = true;
    assert.equal(await store.read('a', NOW + 120_000, NOW + 60_000), 'copy');
    assert.equal(await store.read('a', NOW + 25 * 3_600_000), undefined);
  });

  it('does not fetch without end, whatever it is asked for', async () => {
    let fetched = 0;
    const store = keyStore(async () => `copy ${++fetched}`);
    for (let number = 0; number < 1_000; number += 1) await store.read(`key ${number}`, NOW);
    assert.equal(fetched, LIMITS.verificationKeyFetchesMax);
    assert.notEqual(await store.read('another', NOW + 60_000), undefined);
  });

  it('keeps few', async () => {
    let fetched = 0;
    const store = keyStore(async () => `copy ${++fetched}`);
    const many = LIMITS.verificationKeysKeptMax + 1;
    for (let number = 0; number < many; number += 1) {
      await store.read(`key ${number}`, NOW + number * 60_000);
    }
    const at = NOW + many * 60_000;
    await store.read(`key ${many - 1}`, at);
    assert.equal(fetched, many);
    await store.read('key 0', at);
    assert.equal(fetched, many + 1);
  });
});
