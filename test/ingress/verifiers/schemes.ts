/**
 * Every scheme that signs the body, as its provider would sign: written from the providers' documentation
 * with node:crypto, and with nothing of the recipes that the tests compare it with.
 */
import {
  createHash,
  createHmac,
  generateKeyPairSync,
  randomBytes,
  sign as signWith,
} from 'node:crypto';
import {
  adyenManagementSignature,
  boxSignature,
  discordSignature,
  docusignSignature,
  dropboxSignature,
  elevenlabsSignature,
  githubSignature,
  gitlabSignature,
  hmacSignature,
  hubspotSignature,
  intercomSignature,
  jiraSignature,
  linearSignature,
  notionSignature,
  paddleSignature,
  pagerdutySignature,
  sendgridSignature,
  shopifySignature,
  slackSignature,
  squareSignature,
  standardWebhooksPublicKeySignature,
  standardWebhooksSignature,
  stripeSignature,
  svixSignature,
  teamsSignature,
  twilioSignature,
  typeformSignature,
  type Verifier,
  vercelSignature,
  webflowSignature,
  woocommerceSignature,
  xeroSignature,
  zendeskSignature,
  zoomSignature,
} from 'tidegate/ingress';

/** What one signature is made from. */
export interface Signing {
  readonly body: Uint8Array;
  readonly atMs: number;
  /** As it stands in TIDEGATE_SOURCE_<NAME>_SECRET. */
  readonly secret: string;
}

export interface Scheme {
  readonly name: string;
  readonly verifier: Verifier;
  readonly secret: string;
  /** Another secret of the right shape. */
  readonly other: string;
  /** The header with the signature. */
  readonly header: string;
  /** What stands before the signature in its header. */
  readonly label: string;
  readonly encoding: 'hex' | 'base64';
  /** The encoded signature. */
  readonly sign: (signing: Signing) => string;
  /** The headers of a request with this signature. */
  readonly headers: (signature: string, signing: Signing) => Readonly<Record<string, string>>;
  /** Changes the address that was called by a little, where it is signed. */
  readonly url?: (body: Uint8Array) => string;
  /** The signed time's place, how it is written, and how old it may be. */
  readonly time?: {
    readonly unit: 'seconds' | 'milliseconds' | 'rfc3339' | 'body';
    readonly pastMs: number;
    readonly header?: string;
  };
  /** Several signatures in one header, as `several` joins them. */
  readonly separator?: string;
  /** A body that the scheme can carry, with a text in it; default `{"text":…}`. */
  readonly body?: (text: string, atMs: number) => string;
}

type Digest = 'hex' | 'base64';
const hmacOf = (
  hash: string,
  key: string | Buffer,
  encoding: Digest,
  ...parts: readonly (string | Uint8Array)[]
): string => {
  const hmac = createHmac(hash, key);
  for (const part of parts) hmac.update(part);
  return hmac.digest(encoding);
};
const seconds = (ms: number): string => String(Math.floor(ms / 1_000));
const iso = (ms: number): string => new Date(ms).toISOString();

const FIVE_MINUTES = 300_000;
const text = { secret: 'the-secret-of-the-tests', other: 'another-secret-of-the-tests' };

/** A scheme over the body alone. */
const bodyScheme = (
  name: string,
  verifier: Verifier,
  options: {
    readonly header: string;
    readonly label?: string;
    readonly encoding: Digest;
    readonly hash?: string;
    readonly separator?: string;
    readonly key?: Digest;
  },
): Scheme => {
  const { header, label = '', encoding, hash = 'sha256', separator, key } = options;
  const secrets =
    key === undefined
      ? text
      : { secret: randomBytes(32).toString(key), other: randomBytes(32).toString(key) };
  return {
    name,
    verifier,
    ...secrets,
    header,
    label,
    encoding,
    ...(separator === undefined ? {} : { separator }),
    sign: ({ body, secret }) =>
      hmacOf(hash, key === undefined ? secret : Buffer.from(secret, key), encoding, body),
    headers: (signature) => ({ [header]: `${label}${signature}` }),
  };
};

const standard = (
  name: string,
  verifier: Verifier,
  { prefix = 'webhook' }: { readonly prefix?: string } = {},
): Scheme => ({
  name,
  verifier,
  secret: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
  other: `whsec_${Buffer.alloc(32, 9).toString('base64')}`,
  header: `${prefix}-signature`,
  label: 'v1,',
  encoding: 'base64',
  separator: ' ',
  time: { unit: 'seconds', pastMs: FIVE_MINUTES, header: `${prefix}-timestamp` },
  sign: ({ body, atMs, secret }) =>
    hmacOf(
      'sha256',
      Buffer.from(secret.slice('whsec_'.length), 'base64'),
      'base64',
      `msg_1.${seconds(atMs)}.`,
      body,
    ),
  headers: (signature, { atMs }) => ({
    [`${prefix}-id`]: 'msg_1',
    [`${prefix}-timestamp`]: seconds(atMs),
    [`${prefix}-signature`]: `v1,${signature}`,
  }),
});

/** Schemes with the time in a header of its own and something fixed around it. */
const timedScheme = (
  name: string,
  verifier: Verifier,
  options: {
    readonly header: string;
    readonly timeHeader: string;
    readonly label?: string;
    readonly encoding: Digest;
    readonly unit?: 'seconds' | 'milliseconds' | 'rfc3339';
    readonly pastMs?: number;
    readonly before?: (time: string) => string;
    readonly after?: (time: string) => string;
  },
): Scheme => {
  const { header, timeHeader, label = '', encoding, unit = 'seconds' } = options;
  const { pastMs = FIVE_MINUTES, before = () => '', after = () => '' } = options;
  const write = { seconds, milliseconds: String, rfc3339: iso }[unit];
  return {
    name,
    verifier,
    ...text,
    header,
    label,
    encoding,
    time: { unit, pastMs, header: timeHeader },
    sign: ({ body, atMs, secret }) =>
      hmacOf('sha256', secret, encoding, before(write(atMs)), body, after(write(atMs))),
    headers: (signature, { atMs }) => ({
      [header]: `${label}${signature}`,
      [timeHeader]: write(atMs),
    }),
  };
};

/** Schemes with the time in the header of the signature. */
const inlineScheme = (
  name: string,
  verifier: Verifier,
  options: {
    readonly header: string;
    readonly time: string;
    readonly label: string;
    readonly separator: string;
    readonly between: string;
    readonly pastMs: number;
  },
): Scheme => ({
  name,
  verifier,
  ...text,
  header: options.header,
  label: options.label,
  encoding: 'hex',
  separator: options.separator,
  time: { unit: 'seconds', pastMs: options.pastMs },
  sign: ({ body, atMs, secret }) =>
    hmacOf('sha256', secret, 'hex', `${seconds(atMs)}${options.between}`, body),
  headers: (signature, { atMs }) => ({
    [options.header]: `${options.time}${seconds(atMs)}${options.separator}${options.label}${signature}`,
  }),
});

const ed25519Keys = () => generateKeyPairSync('ed25519');
const rawKey = (key: ReturnType<typeof ed25519Keys>['publicKey']): Buffer =>
  key.export({ type: 'spki', format: 'der' }).subarray(-32);

function discord(): Scheme {
  const pairs = [ed25519Keys(), ed25519Keys()] as const;
  const [secret, other] = pairs.map(({ publicKey }) => rawKey(publicKey).toString('hex'));
  return {
    name: 'Discord',
    verifier: discordSignature(),
    secret: secret ?? '',
    other: other ?? '',
    header: 'x-signature-ed25519',
    label: '',
    encoding: 'hex',
    time: { unit: 'seconds', pastMs: 900_000, header: 'x-signature-timestamp' },
    sign: ({ body, atMs, secret: used }) =>
      signWith(
        null,
        Buffer.concat([Buffer.from(seconds(atMs)), body]),
        pairs[used === secret ? 0 : 1].privateKey,
      ).toString('hex'),
    headers: (signature, { atMs }) => ({
      'x-signature-ed25519': signature,
      'x-signature-timestamp': seconds(atMs),
    }),
  };
}

function standardPublicKey(): Scheme {
  const pairs = [ed25519Keys(), ed25519Keys()] as const;
  const [secret, other] = pairs.map(
    ({ publicKey }) => `whpk_${rawKey(publicKey).toString('base64')}`,
  );
  return {
    ...standard('Standard Webhooks v1a', standardWebhooksPublicKeySignature()),
    secret: secret ?? '',
    other: other ?? '',
    label: 'v1a,',
    sign: ({ body, atMs, secret: used }) =>
      signWith(
        null,
        Buffer.concat([Buffer.from(`msg_1.${seconds(atMs)}.`), body]),
        pairs[used === secret ? 0 : 1].privateKey,
      ).toString('base64'),
    headers: (signature, { atMs }) => ({
      'webhook-id': 'msg_1',
      'webhook-timestamp': seconds(atMs),
      'webhook-signature': `v1a,${signature}`,
    }),
  };
}

function sendgrid(): Scheme {
  const keys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const made = new Map<string, string>();
  const pairs = [keys(), keys()] as const;
  const [secret, other] = pairs.map(({ publicKey }) =>
    publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  );
  return {
    name: 'SendGrid',
    verifier: sendgridSignature(),
    secret: secret ?? '',
    other: other ?? '',
    header: 'x-twilio-email-event-webhook-signature',
    label: '',
    encoding: 'base64',
    time: {
      unit: 'seconds',
      pastMs: 25 * 3_600_000,
      header: 'x-twilio-email-event-webhook-timestamp',
    },
    sign({ body, atMs, secret: used }) {
      const content = Buffer.concat([Buffer.from(seconds(atMs)), body]);
      const { privateKey } = pairs[used === secret ? 0 : 1];
      // ECDSA signs anew each time; the tests want one signature for one content.
      const key = `${used} ${content.toString('latin1')}`;
      const signature = made.get(key) ?? signWith('sha256', content, privateKey).toString('base64');
      made.set(key, signature);
      return signature;
    },
    headers: (signature, { atMs }) => ({
      'x-twilio-email-event-webhook-signature': signature,
      'x-twilio-email-event-webhook-timestamp': seconds(atMs),
    }),
  };
}

export const URL_OF_TESTS = 'https://hooks.acme.example/hooks/vendor?shop=1&b=2';

const sha256 = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');

const twilio: Scheme = {
  name: 'Twilio (JSON)',
  verifier: twilioSignature(),
  ...text,
  header: 'x-twilio-signature',
  label: '',
  encoding: 'base64',
  url: (body) => `${URL_OF_TESTS}&bodySHA256=${sha256(body)}`,
  sign: ({ body, secret }) =>
    hmacOf('sha1', secret, 'base64', `${URL_OF_TESTS}&bodySHA256=${sha256(body)}`),
  headers: (signature) => ({
    'x-twilio-signature': signature,
    'content-type': 'application/json',
  }),
};

export const SCHEMES: readonly Scheme[] = [
  bodyScheme('GitHub', githubSignature(), {
    header: 'x-hub-signature-256',
    label: 'sha256=',
    encoding: 'hex',
  }),
  bodyScheme('Jira', jiraSignature(), {
    header: 'x-hub-signature',
    label: 'sha256=',
    encoding: 'hex',
  }),
  bodyScheme('Notion', notionSignature(), {
    header: 'x-notion-signature',
    label: 'sha256=',
    encoding: 'hex',
  }),
  bodyScheme('Shopify', shopifySignature(), {
    header: 'x-shopify-hmac-sha256',
    encoding: 'base64',
  }),
  bodyScheme('Typeform', typeformSignature(), {
    header: 'typeform-signature',
    label: 'sha256=',
    encoding: 'base64',
  }),
  bodyScheme('WooCommerce', woocommerceSignature(), {
    header: 'x-wc-webhook-signature',
    encoding: 'base64',
  }),
  bodyScheme('Xero', xeroSignature(), { header: 'x-xero-signature', encoding: 'base64' }),
  bodyScheme('Dropbox', dropboxSignature(), { header: 'x-dropbox-signature', encoding: 'hex' }),
  bodyScheme('DocuSign', docusignSignature(), {
    header: 'x-docusign-signature-1',
    encoding: 'base64',
  }),
  bodyScheme('PagerDuty', pagerdutySignature(), {
    header: 'x-pagerduty-signature',
    label: 'v1=',
    encoding: 'hex',
    separator: ',',
  }),
  bodyScheme('Intercom', intercomSignature(), {
    header: 'x-hub-signature',
    label: 'sha1=',
    encoding: 'hex',
    hash: 'sha1',
  }),
  bodyScheme('Vercel', vercelSignature(), {
    header: 'x-vercel-signature',
    encoding: 'hex',
    hash: 'sha1',
  }),
  bodyScheme('Teams', teamsSignature(), {
    header: 'authorization',
    label: 'HMAC ',
    encoding: 'base64',
    key: 'base64',
  }),
  bodyScheme('Adyen management', adyenManagementSignature(), {
    header: 'hmacsignature',
    encoding: 'base64',
    key: 'hex',
  }),
  bodyScheme('configurable HMAC', hmacSignature({ header: 'X-Sig', encoding: 'base64' }), {
    header: 'x-sig',
    encoding: 'base64',
  }),
  {
    ...bodyScheme('Linear', linearSignature(), { header: 'linear-signature', encoding: 'hex' }),
    time: { unit: 'body', pastMs: 60_000 },
    body: (words, atMs) => JSON.stringify({ webhookTimestamp: atMs, text: words }),
  },
  standard('Standard Webhooks', standardWebhooksSignature()),
  standard('Svix', svixSignature(), { prefix: 'svix' }),
  standard('Svix under the names of the standard', svixSignature()),
  standard('GitLab', gitlabSignature()),
  standardPublicKey(),
  inlineScheme('Stripe', stripeSignature(), {
    header: 'stripe-signature',
    time: 't=',
    label: 'v1=',
    separator: ',',
    between: '.',
    pastMs: FIVE_MINUTES,
  }),
  inlineScheme('Paddle', paddleSignature(), {
    header: 'paddle-signature',
    time: 'ts=',
    label: 'h1=',
    separator: ';',
    between: ':',
    pastMs: 60_000,
  }),
  inlineScheme('ElevenLabs', elevenlabsSignature(), {
    header: 'elevenlabs-signature',
    time: 't=',
    label: 'v0=',
    separator: ',',
    between: '.',
    pastMs: 1_800_000,
  }),
  timedScheme('Slack', slackSignature(), {
    header: 'x-slack-signature',
    timeHeader: 'x-slack-request-timestamp',
    label: 'v0=',
    encoding: 'hex',
    before: (time) => `v0:${time}:`,
  }),
  timedScheme('Zoom', zoomSignature(), {
    header: 'x-zm-signature',
    timeHeader: 'x-zm-request-timestamp',
    label: 'v0=',
    encoding: 'hex',
    before: (time) => `v0:${time}:`,
  }),
  timedScheme('Webflow', webflowSignature(), {
    header: 'x-webflow-signature',
    timeHeader: 'x-webflow-timestamp',
    encoding: 'hex',
    unit: 'milliseconds',
    before: (time) => `${time}:`,
  }),
  timedScheme('Zendesk', zendeskSignature(), {
    header: 'x-zendesk-webhook-signature',
    timeHeader: 'x-zendesk-webhook-signature-timestamp',
    encoding: 'base64',
    unit: 'rfc3339',
    pastMs: 3_600_000,
    before: (time) => time,
  }),
  timedScheme('Box', boxSignature(), {
    header: 'box-signature-primary',
    timeHeader: 'box-delivery-timestamp',
    encoding: 'base64',
    unit: 'rfc3339',
    pastMs: 600_000,
    after: (time) => time,
  }),
  {
    ...timedScheme('HubSpot', hubspotSignature(), {
      header: 'x-hubspot-signature-v3',
      timeHeader: 'x-hubspot-request-timestamp',
      encoding: 'base64',
      unit: 'milliseconds',
      before: () => `POST${URL_OF_TESTS}`,
      after: (time) => time,
    }),
    url: () => URL_OF_TESTS,
  },
  {
    ...bodyScheme('Square', squareSignature(), {
      header: 'x-square-hmacsha256-signature',
      encoding: 'base64',
    }),
    url: () => URL_OF_TESTS,
    sign: ({ body, secret }) => hmacOf('sha256', secret, 'base64', URL_OF_TESTS, body),
  },
  twilio,
  discord(),
  sendgrid(),
];
