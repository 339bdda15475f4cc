/**
 * Ours and the vendors' own packages, on the same random requests. A package that is not among the
 * devDependencies is not asked; one that is must be there.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { readText } from '../../repository/files.ts';
import { SCHEMES, type Scheme } from './schemes.ts';

interface Sent {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string;
  readonly url: string;
}

interface Vendor {
  readonly package: string;
  readonly scheme: string;
  /** Whether the vendor's package takes a request; a throw is a no. */
  readonly load: (module: never) => (sent: Sent) => unknown;
  /** Times that the package does not look at, or judges otherwise on purpose (docs/reference/sources.md). */
  readonly ignoresTime?: 'all' | 'future';
}

type WebhookClass = {
  new (secret: string): { verify(body: string, headers: Sent['headers']): unknown };
};
const standardWebhook =
  ({ Webhook }: { readonly Webhook: WebhookClass }) =>
  ({ body, headers, secret }: Sent) => {
    new Webhook(secret).verify(body, headers);
    return true;
  };

const header = ({ headers }: Sent, name: string): string => headers[name] ?? '';

const VENDORS: readonly Vendor[] = [
  { package: 'standardwebhooks', scheme: 'Standard Webhooks', load: standardWebhook },
  { package: 'svix', scheme: 'Svix', load: standardWebhook },
  {
    package: 'stripe',
    scheme: 'Stripe',
    ignoresTime: 'future',
    load: ({
      default: Stripe,
    }: {
      readonly default: new (
        key: string,
      ) => { webhooks: { constructEvent(body: string, header: string, secret: string): unknown } };
    }) => {
      const { webhooks } = new Stripe('no key');
      return (sent) => {
        webhooks.constructEvent(sent.body, header(sent, 'stripe-signature'), sent.secret);
        return true;
      };
    },
  },
  {
    package: 'twilio',
    scheme: 'Twilio (JSON)',
    load:
      ({
        default: { validateRequestWithBody },
      }: {
        readonly default: {
          readonly validateRequestWithBody: (
            token: string,
            signature: string,
            url: string,
            body: string,
          ) => boolean;
        };
      }) =>
      (sent) =>
        validateRequestWithBody(
          sent.secret,
          header(sent, 'x-twilio-signature'),
          sent.url,
          sent.body,
        ),
  },
  {
    package: 'discord-interactions',
    scheme: 'Discord',
    ignoresTime: 'all',
    load:
      ({
        verifyKey,
      }: {
        readonly verifyKey: (
          body: string,
          signature: string,
          timestamp: string,
          key: string,
        ) => Promise<boolean>;
      }) =>
      (sent) =>
        verifyKey(
          sent.body,
          header(sent, 'x-signature-ed25519'),
          header(sent, 'x-signature-timestamp'),
          sent.secret,
        ),
  },
  {
    package: '@sendgrid/eventwebhook',
    scheme: 'SendGrid',
    ignoresTime: 'all',
    load: ({
      EventWebhook,
    }: {
      readonly EventWebhook: new () => {
        convertPublicKeyToECDSA(key: string): object;
        verifySignature(key: object, body: string, signature: string, timestamp: string): boolean;
      };
    }) => {
      const sdk = new EventWebhook();
      return (sent) =>
        sdk.verifySignature(
          sdk.convertPublicKeyToECDSA(sent.secret),
          sent.body,
          header(sent, 'x-twilio-email-event-webhook-signature'),
          header(sent, 'x-twilio-email-event-webhook-timestamp'),
        );
    },
  },
];

const CHANGES = ['none', 'body', 'signature', 'secret', 'old', 'future'] as const;
type Change = (typeof CHANGES)[number];

const { devDependencies } = JSON.parse(readText('package.json')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

describe('Ours and the package of the vendor', () => {
  it('are compared for schemes that there are', () => {
    const names = SCHEMES.map(({ name }) => name);
    for (const { scheme } of VENDORS) assert.ok(names.includes(scheme), scheme);
  });

  for (const vendor of VENDORS.filter(({ package: name }) =>
    Object.hasOwn(devDependencies, name),
  )) {
    it(`agree on every request: ${vendor.package}`, async () => {
      const theirs = vendor.load((await import(vendor.package)) as never);
      const scheme = SCHEMES.find(({ name }) => name === vendor.scheme);
      assert.ok(scheme !== undefined);
      const changes = CHANGES.filter((change) => isJudged(change, vendor));
      await fc.assert(
        fc.asyncProperty(
          fc.json(),
          fc.constantFrom(...changes),
          fc.nat(),
          async (body, change, at) => {
            const nowMs = Date.now();
            const sent = request(scheme, { body, change, at, nowMs });
            const ours = await takes(scheme, sent, nowMs);
            assert.equal(ours, await asked(theirs, sent), change);
            if (change === 'none') assert.ok(ours);
          },
        ),
      );
    });
  }
});

function isJudged(change: Change, { ignoresTime }: Vendor): boolean {
  if (change === 'old') return ignoresTime !== 'all';
  return change !== 'future' || ignoresTime === undefined;
}

function request(
  scheme: Scheme,
  {
    body,
    change,
    at,
    nowMs,
  }: {
    readonly body: string;
    readonly change: Change;
    readonly at: number;
    readonly nowMs: number;
  },
): Sent {
  const { pastMs = 0 } = scheme.time ?? {};
  const shiftMs = change === 'old' ? -pastMs - 60_000 : change === 'future' ? 360_000 : 0;
  const atMs = nowMs + shiftMs;
  const signing = { body: Buffer.from(body), atMs, secret: scheme.secret };
  const right = scheme.sign(signing);
  const place = at % (right.length - 8);
  const letter = right[place] === 'a' ? 'b' : 'a';
  const changed = right.slice(0, place) + letter + right.slice(place + 1);
  return {
    body: change === 'body' ? `${body} ` : body,
    headers: scheme.headers(change === 'signature' ? changed : right, signing),
    secret: change === 'secret' ? scheme.other : scheme.secret,
    url: scheme.url?.(Buffer.from(body)) ?? '',
  };
}

async function takes(scheme: Scheme, sent: Sent, nowMs: number): Promise<boolean> {
  const { headers, url } = sent;
  const asked = { method: 'POST', headers, url, body: Buffer.from(sent.body) };
  const found = await scheme.verifier.verify(asked, { secrets: [sent.secret], nowMs });
  return found.status === 'verified';
}

async function asked(theirs: (sent: Sent) => unknown, sent: Sent): Promise<boolean> {
  try {
    return (await theirs(sent)) === true;
  } catch {
    return false;
  }
}
