/** Requests as the providers themselves publish them. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  githubSignature,
  jiraSignature,
  sendgridSignature,
  slackSignature,
  standardWebhooksSignature,
  svixSignature,
  twilioSignature,
  type Verifier,
} from 'tidegate/ingress';

interface Published {
  readonly of: string;
  readonly verifier: Verifier;
  readonly secret: string;
  readonly atSeconds?: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly url?: string;
}

const EVERYBODY = "It's a Secret to Everybody";
const STANDARD = {
  verifier: standardWebhooksSignature(),
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  atSeconds: 1_614_265_330,
  body: '{"test": 2432232314}',
};
const STANDARD_SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

const PUBLISHED: readonly Published[] = [
  {
    of: 'GitHub (Validating webhook deliveries)',
    verifier: githubSignature(),
    secret: EVERYBODY,
    headers: {
      'x-hub-signature-256':
        'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    },
    body: 'Hello, World!',
  },
  {
    of: 'Jira (Webhooks, secure admin webhooks)',
    verifier: jiraSignature(),
    secret: EVERYBODY,
    headers: {
      'x-hub-signature': 'sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9',
    },
    body: 'Hello World!',
  },
  {
    of: 'Standard Webhooks (the tests of its libraries)',
    ...STANDARD,
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': STANDARD_SIGNATURE,
    },
  },
  {
    of: 'Svix (the same under its own names)',
    ...STANDARD,
    verifier: svixSignature(),
    headers: {
      'svix-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'svix-timestamp': '1614265330',
      'svix-signature': STANDARD_SIGNATURE,
    },
  },
  {
    of: 'Slack (Verifying requests)',
    verifier: slackSignature(),
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    atSeconds: 1_531_420_618,
    headers: {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    },
    body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  },
  {
    of: 'SendGrid (the tests of its library; the CRLF is signed)',
    verifier: sendgridSignature(),
    secret:
      'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
    atSeconds: 1_600_112_502,
    headers: {
      'x-twilio-email-event-webhook-timestamp': '1600112502',
      'x-twilio-email-event-webhook-signature':
        'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
    },
    body: '[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA","sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0","smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n',
  },
  {
    of: 'Twilio (the tests of its libraries)',
    verifier: twilioSignature(),
    secret: '12345',
    url: 'https://mycompany.com/myapp.php?foo=1&bar=2',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': 'GvWf1cFY/Q7PnoempGyD5oXAezc=',
    },
    body: 'CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212',
  },
];

describe('The requests that providers publish', () => {
  for (const { of, verifier, secret, atSeconds = 0, headers, body, url } of PUBLISHED) {
    it(`are verified, and not without their last byte: ${of}`, async () => {
      const verdictOf = async (text: string) => {
        const request = { method: 'POST', headers, body: Buffer.from(text) };
        const called = url === undefined ? request : { ...request, url };
        const keys = { secrets: [secret], nowMs: atSeconds * 1_000 };
        return (await verifier.verify(called, keys)).status;
      };
      assert.equal(await verdictOf(body), 'verified');
      assert.equal(await verdictOf(body.slice(0, -1)), 'invalid');
    });
  }
});
