/**
 * Requests with bytes changed, cut off or put elsewhere: the process stays healthy and its memory flat.
 * TIDEGATE_FUZZ_REQUESTS is how many there are (`TIDEGATE_FUZZ_REQUESTS=100000` for all that was promised),
 * TIDEGATE_FUZZ_SEED repeats a failure.
 */
import assert from 'node:assert/strict';
import { createHmac, type Hmac } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { after, before, describe, it } from 'mocha';
import {
  awsSnsSignature,
  bindSources,
  defineSource,
  discordSignature,
  githubSource,
  hubspotSignature,
  shopifySignature,
  slackSignature,
  standardWebhooksSignature,
  stripeSignature,
  twilioSignature,
} from 'tidegate/ingress';
import { createIngressApp, type IngressOptions } from '../../src/ingress/app.ts';
import { createBoundedServer } from '../../src/ingress/connections.ts';
import type { AppendEntry } from '../../src/journal/deliveries.ts';
import { createLogger } from '../../src/telemetry.ts';
import { seededRandom } from '../support/random.ts';
import { githubExamples } from './github-examples.ts';
import { cloudEvent, events, flows, GITHUB_SECRET } from './support.ts';

const REQUESTS = Number(process.env.TIDEGATE_FUZZ_REQUESTS ?? 10_000);
const SEED = Number(process.env.TIDEGATE_FUZZ_SEED ?? Date.now() % 2 ** 31);
/** Requests before the heap is measured first: code is compiled and caches are full by then. */
const WARM_UP = 3_000;
/** What the heap may have grown between the measurements: of 10,000 requests, 1.6 KB for each. */
const GROWTH_BYTES_MAX = 16 * 1_048_576;

interface Sample {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The headers of a signature, so that a mutated body gets further than its verification. */
  readonly signed?: (body: Buffer) => Readonly<Record<string, string>>;
}

const hmac = (
  secret: string,
  parts: readonly (string | Buffer)[],
  encoding: 'hex' | 'base64' = 'hex',
): string =>
  parts
    .reduce<Hmac>((sum, part) => sum.update(part), createHmac('sha256', secret))
    .digest(encoding);

const SECRET = 'a-secret-of-the-fuzz-tests-with-32-bytes';
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:orders';
const SVIX = `whsec_${Buffer.from(SECRET).toString('base64')}`;

const toEvents = () => [{ type: 'thing.seen', data: {} }];
const sources = () =>
  bindSources(
    [
      githubSource,
      defineSource({ name: 'stripe', verify: stripeSignature(), toEvents }),
      defineSource({ name: 'slack', verify: slackSignature(), toEvents, bodies: ['json', 'form'] }),
      defineSource({ name: 'standard', verify: standardWebhooksSignature(), toEvents }),
      defineSource({ name: 'shopify', verify: shopifySignature(), toEvents }),
      defineSource({ name: 'hubspot', verify: hubspotSignature(), toEvents }),
      defineSource({ name: 'discord', verify: discordSignature(), toEvents }),
      defineSource({ name: 'twilio', verify: twilioSignature(), toEvents, bodies: ['form'] }),
      defineSource({
        name: 'sns',
        verify: awsSnsSignature({
          topicArns: [TOPIC],
          fetchText: async () => 'no certificate',
        }),
        toEvents,
        bodies: ['json', 'text'],
      }),
    ],
    {
      TIDEGATE_SOURCE_GITHUB_SECRET: GITHUB_SECRET,
      TIDEGATE_SOURCE_STRIPE_SECRET: `1${SECRET}`,
      TIDEGATE_SOURCE_SLACK_SECRET: `2${SECRET}`,
      TIDEGATE_SOURCE_STANDARD_SECRET: SVIX,
      TIDEGATE_SOURCE_SHOPIFY_SECRET: `3${SECRET}`,
      TIDEGATE_SOURCE_HUBSPOT_SECRET: `4${SECRET}`,
      TIDEGATE_SOURCE_DISCORD_SECRET: 'ab'.repeat(32),
      TIDEGATE_SOURCE_TWILIO_SECRET: `5${SECRET}`,
    },
  );

/** One good request of each kind; signed ones are signed for now. */
function samples(): readonly Sample[] {
  const now = String(Math.floor(Date.now() / 1_000));
  const text = JSON.stringify({ id: 'evt_1', type: 'invoice.paid', data: { object: { n: 1 } } });
  const hook = (
    name: string,
    headers: Sample['headers'] | NonNullable<Sample['signed']>,
    content = text,
  ): Sample => {
    const body = Buffer.from(content);
    const signed = typeof headers === 'function' ? headers : undefined;
    const own = signed === undefined ? headers : signed(body);
    return {
      path: `/hooks/${name}`,
      headers: { 'content-type': 'application/json', ...own },
      body,
      ...(signed && { signed }),
    };
  };
  const structured = (event: unknown): Sample => ({
    path: '/events',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: Buffer.from(JSON.stringify(event)),
  });
  const deal = { dealId: 'd-1', stage: 'won', amount: 5_000, currency: 'EUR' };
  const batch = Array.from({ length: 20 }, () => cloudEvent({ tracestate: 'a=b', n: 7 }));
  const github = JSON.stringify(githubExamples.find(({ name }) => name === 'issues')?.payload);
  const pushed = JSON.stringify(githubExamples.find(({ name }) => name === 'push')?.payload);
  const githubHeaders = (name: string) => (body: Buffer) => ({
    'x-github-event': name,
    'x-hub-signature-256': `sha256=${hmac(GITHUB_SECRET, [body])}`,
  });
  const form = 'payload=%7B%22a%22%3A1%7D&From=%2B4930';
  return [
    structured(cloudEvent({ time: '2026-01-01T00:00:00Z', subject: 'ü €', extension: true })),
    structured(cloudEvent({ type: 'deal.stage_changed', schemaversion: 2, data: deal })),
    structured({ ...cloudEvent(), data: undefined, data_base64: 'eyJhIjoxfQ==' }),
    { ...structured(batch), headers: { 'content-type': 'application/cloudevents-batch+json' } },
    {
      path: '/events',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'ce-specversion': '1.0',
        'ce-id': 'b%201%25',
        'ce-source': '"crm"',
        'ce-type': 'thing.seen',
        'ce-subject': 'Gr%C3%BC%C3%9Fe%20%E2%82%AC',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
      body: Buffer.from('{"a":123456789012345678}'),
    },
    {
      path: '/events/deal.stage_changed?source=crm',
      headers: { 'content-type': 'application/json', 'idempotency-key': '"key"', prefer: 'wait=0' },
      body: Buffer.from(JSON.stringify(deal)),
    },
    hook('github', githubHeaders('issues'), github),
    hook('github', githubHeaders('push'), pushed),
    hook('stripe', (body) => ({
      'stripe-signature': `t=${now},v1=${hmac(`1${SECRET}`, [`${now}.`, body])},v0=00`,
    })),
    hook('slack', (body) => ({
      'x-slack-request-timestamp': now,
      'x-slack-signature': `v0=${hmac(`2${SECRET}`, [`v0:${now}:`, body])}`,
    })),
    hook('standard', (body) => ({
      'webhook-id': 'msg_1',
      'webhook-timestamp': now,
      'webhook-signature': `v1,${hmac(SECRET, [`msg_1.${now}.`, body], 'base64')} v1a,xx`,
    })),
    hook('shopify', (body) => ({
      'x-shopify-hmac-sha256': hmac(`3${SECRET}`, [body], 'base64'),
    })),
    hook('hubspot', {
      'x-hubspot-signature-v3': 'eHg=',
      'x-hubspot-request-timestamp': `${now}000`,
    }),
    hook('discord', { 'x-signature-ed25519': 'ab'.repeat(64), 'x-signature-timestamp': now }),
    hook(
      'twilio',
      { 'x-twilio-signature': 'eHg=', 'content-type': 'application/x-www-form-urlencoded' },
      form,
    ),
    hook(
      'sns',
      { 'content-type': 'text/plain', 'x-amz-sns-message-type': 'Notification' },
      JSON.stringify({
        Type: 'Notification',
        MessageId: 'm',
        TopicArn: TOPIC,
        Message: '{}',
        Timestamp: '2026-01-01T00:00:00.000Z',
        SignatureVersion: '2',
        Signature: 'eHg=',
        SigningCertURL: 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0.pem',
      }),
    ),
  ];
}

/** Takes everything and keeps nothing: what grows is not the journal. */
const forgetful = {
  append: async (entries: readonly AppendEntry[]) =>
    entries.map(({ event, status, deliveries }) => ({
      status,
      correlationId: event.correlationid,
      deliveries: deliveries.map((target) => ({ ...target, number: 1 })),
    })),
  reject: async () => undefined,
  findRun: async () => undefined,
  claimEchoes: async () => new Map(),
  ancestorsOf: async () => [],
  tripFuses: async () => [],
  ping: async () => undefined,
} as unknown as IngressOptions['journal'];

describe(`A parser fuzz of ${REQUESTS} requests (seed ${SEED})`, function () {
  this.timeout(1_200_000);
  const random = seededRandom(SEED);
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const pick = <Item>(items: readonly Item[]): Item => items[upTo(items.length)] as Item;
  const log: string[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  let server: ReturnType<typeof createBoundedServer>;
  let port: number;
  let good: readonly Sample[];
  const statuses = new Map<number, number>();

  before(async () => {
    good = samples();
    const app = createIngressApp({
      journal: forgetful,
      catalogue: events,
      flows,
      sources: sources(),
      publicUrl: 'https://hooks.example',
      logger: createLogger({
        level: 'error',
        destination: { write: (line) => void (log.push(line) > 20 && log.shift()) },
      }),
    });
    server = createBoundedServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  after(async () => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  /** A few bytes become others, go, come twice, or come from another place. */
  function mutated(bytes: Buffer): Buffer {
    let changed = Buffer.from(bytes);
    for (let times = 1 + upTo(4); times > 0 && changed.length > 0; times -= 1) {
      const at = upTo(changed.length);
      const end = at + upTo(Math.min(40, changed.length - at));
      switch (upTo(6)) {
        case 0:
          changed[at] = upTo(256);
          break;
        case 1:
          changed[at] = (changed[at] ?? 0) ^ (1 << upTo(8));
          break;
        case 2:
          changed = changed.subarray(0, at);
          break;
        case 3:
          changed = Buffer.concat([changed.subarray(0, at), changed.subarray(end)]);
          break;
        case 4:
          changed = Buffer.concat([changed.subarray(0, end), changed.subarray(at)]);
          break;
        default:
          changed = Buffer.concat([
            changed.subarray(0, at),
            Buffer.from(pick(SPICE)),
            changed.subarray(at),
          ]);
      }
    }
    return changed;
  }

  const isSendable = (value: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(value);

  function mutatedSample(sample: Sample): Sample {
    const headers: Record<string, string> = { ...sample.headers };
    for (let times = upTo(3); times > 0; times -= 1) {
      const name = pick([...Object.keys(sample.headers), ...HEADERS]);
      const value = mutated(Buffer.from(headers[name] ?? pick(SPICE), 'latin1')).toString('latin1');
      if (random() < 0.15) delete headers[name];
      else if (isSendable(value)) headers[name] = value;
    }
    const body = random() < 0.75 ? mutated(sample.body) : sample.body;
    const path =
      random() < 0.1
        ? `${sample.path}${pick(['%', '%00', '/', '?', '//', '%2f..', ';'])}`
        : sample.path;
    const again = random() < 0.7 ? sample.signed?.(body) : undefined;
    return { path, headers: { ...headers, ...again }, body };
  }

  async function sendMutated(): Promise<void> {
    const sample = mutatedSample(pick(good));
    const method = random() < 0.97 ? 'POST' : pick(['PUT', 'DELETE', 'OPTIONS', 'PROPFIND']);
    count(await statusOf(sample, method, agent));
  }

  async function statusOf(sample: Sample, method: string, through: Agent | false): Promise<number> {
    const { path, headers, body } = sample;
    const request = httpRequest({
      port,
      host: '127.0.0.1',
      path,
      method,
      headers: { ...headers, 'content-length': String(body.length) },
      agent: through,
    });
    request.end(body);
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      return response.statusCode ?? 0;
    } catch (error) {
      // The server closes a connection that was idle for seconds, perhaps as this request leaves.
      if (through === false || !request.reusedSocket) throw error;
      return statusOf(sample, method, false);
    }
  }

  /** The head is mutated too, so that it may be no HTTP at all. */
  async function sendRaw(): Promise<void> {
    const { path, headers, body } = pick(good);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n`;
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer = (answer + chunk.toString('latin1')).slice(0, 100);
    });
    // Whoever writes on a connection that was refused is reset.
    socket.on('error', () => undefined);
    socket.end(mutated(Buffer.concat([Buffer.from(head), body])));
    await once(socket, 'close');
    count(Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0));
  }

  function count(status: number): void {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    assert.ok(status < 500 || status === 503, `${status}\n${log.at(-1)}`);
    // Keys that cannot be fetched, of AWS: a mutated address is never asked.
    if (status === 503) assert.match(log.at(-1) ?? '', /keys_unavailable/);
  }

  async function sendMany(requests: number): Promise<void> {
    let left = requests;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await (random() < 0.9 ? sendMutated() : sendRaw());
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
  }

  async function isHealthy(): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    assert.deepEqual([answer.status, await answer.json()], [200, { status: 'ok' }]);
    const event = await fetch(`http://127.0.0.1:${port}/events/thing.seen`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(event.status, 202);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  }

  it('takes the requests that are not mutated, so that mutations get far', async () => {
    for (const { path, headers, body } of good) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        headers,
        body: new Uint8Array(body),
      });
      const isGuessed = ['hubspot', 'discord', 'twilio', 'sns'].some((name) => path.endsWith(name));
      assert.equal(answer.status, isGuessed ? 401 : 202, `${path} ${await answer.text()}`);
    }
  });

  it('gets an answer to each that is HTTP, none of them a 500, and the heap stays flat', async () => {
    await sendMany(WARM_UP);
    const before = usedHeap();
    await sendMany(REQUESTS);
    const growth = usedHeap() - before;
    await isHealthy();
    assert.ok(
      (statuses.get(202) ?? 0) > 0 && (statuses.get(422) ?? 0) > 0 && (statuses.get(401) ?? 0) > 0,
    );
    assert.ok(growth < GROWTH_BYTES_MAX, `the heap grew by ${growth} bytes`);
    if (process.env.TIDEGATE_FUZZ_REQUESTS !== undefined) {
      const found = [...statuses]
        .sort(([a], [b]) => a - b)
        .map(([status, times]) => `${status}: ${times}`);
      console.log(
        `heap ${(before / 1e6).toFixed(1)} MB, growth ${(growth / 1e6).toFixed(2)} MB; ${found.join(', ')}`,
      );
    }
  });
});

function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

/** What parsers stumble over. */
const SPICE = [
  '\u0000',
  '\\u0000',
  '\\ud800',
  '"',
  '\\',
  '{',
  '[[[[[[[[',
  '}',
  ',',
  ':',
  '%',
  '%00',
  '%C0%A0',
  '\r\n',
  '\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'e999',
  '-',
  '"__proto__":',
  '9'.repeat(40),
  'x'.repeat(2_000),
  '\xff\xfe',
  '',
];
const HEADERS = [
  'ce-id',
  'ce-type',
  'ce-time',
  'ce-',
  'ce-__proto__',
  'content-type',
  'content-encoding',
  'idempotency-key',
  'prefer',
  'authorization',
  'traceparent',
  'expect',
  'x-hub-signature-256',
  'webhook-signature',
];
