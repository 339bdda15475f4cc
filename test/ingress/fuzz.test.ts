import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { sign } from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { githubExamples } from './github-examples.ts';
import {
  cloudEvent,
  GITHUB_SECRET,
  postEvent,
  startTestIngress,
  type TestIngress,
} from './support.ts';

interface FuzzedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const ATTRIBUTES = [
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'subject',
  'data',
  'data_base64',
  'tenantid',
  'schemaversion',
  'correlationid',
  'causationid',
  'actor',
  'origin',
  'hops',
  'traceparent',
  'replay',
  'datacontenttype',
  'constructor',
  '__proto__',
];
const TYPES = ['deal.stage_changed', 'thing.seen', 'thing.keyed', 'thing.filtered', 'toString'];

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 600 }),
  fc.constantFrom('', '\u0000', '\ud800', '__proto__', '../..', '9'.repeat(30), '0', '1e999'),
);
const hostileJson = fc.oneof(
  fc.jsonValue(),
  hostileText,
  fc.constantFrom(null, -1, 1.5, 1e308, 2 ** 53, {}, [], { toString: 1, constructor: {} }),
);
const keyData = fc.record(
  { key: hostileJson, want: hostileJson, dealId: hostileJson },
  { requiredKeys: [] },
);

/** An event of which some attributes have become something else. */
const fuzzedEvent = fc
  .tuple(
    fc.constantFrom(...TYPES),
    fc.oneof(keyData, hostileJson),
    fc.array(fc.tuple(fc.constantFrom(...ATTRIBUTES), hostileJson), { maxLength: 2 }),
  )
  .map(([type, data, changes]) =>
    Object.fromEntries([...Object.entries(cloudEvent({ type, data })), ...changes]),
  );

/** A text of which a few bytes have become others. */
const fuzzedBytes = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(text, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
    .map(([original, changes]) => {
      const bytes = Buffer.from(original);
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });

/** What Node lets a client send as a header's value. */
const headerValue = fc
  .array(
    fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f),
    { maxLength: 80 },
  )
  .map((codes) => String.fromCharCode(...codes));
const headers = fc.dictionary(
  fc.constantFrom(
    'ce-id',
    'ce-source',
    'ce-type',
    'ce-specversion',
    'ce-time',
    'ce-hops',
    'ce-tenantid',
    'ce-x',
    'content-type',
    'content-encoding',
    'idempotency-key',
    'traceparent',
    'authorization',
  ),
  fc.oneof(headerValue, fc.constantFrom('1.0', 'thing.seen', '%', '%00', '"', 'wait=0')),
  { maxKeys: 4 },
);
const contentType = fc.constantFrom(
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/json',
);

const toEvents: fc.Arbitrary<FuzzedRequest> = fc.record({
  path: fc.constant('/events'),
  headers: fc
    .tuple(contentType, headers)
    .map(([type, rest]) => ({ 'content-type': type, ...rest })),
  body: fuzzedBytes(
    fc
      .oneof(fuzzedEvent, fc.array(fuzzedEvent, { maxLength: 4 }))
      .map((value) => JSON.stringify(value)),
  ),
});
const toType: fc.Arbitrary<FuzzedRequest> = fc.record({
  path: fc
    .oneof(fc.constantFrom(...TYPES), hostileText)
    .map((type) => `/events/${encodeURIComponent(type.toWellFormed())}`),
  headers: headers.map((rest) => ({ 'content-type': 'application/json', ...rest })),
  body: fuzzedBytes(fc.oneof(keyData, hostileJson).map((value) => JSON.stringify(value))),
});
/** Signed, so that it gets as far as the mapping. */
const toHook = fc
  .tuple(
    fc.constantFrom(
      ...githubExamples.filter(({ name }) => ['issues', 'pull_request', 'push'].includes(name)),
    ),
    fc.array(fc.tuple(fc.nat(), hostileJson), { maxLength: 2 }),
  )
  .map(([{ name, payload }, changes]) => {
    const changed: Record<string, unknown> = structuredClone(payload);
    for (const [at, value] of changes) {
      const parents = [changed, ...Object.values(changed)].filter(
        (part): part is Record<string, unknown> => typeof part === 'object' && part !== null,
      );
      const parent = parents[at % parents.length] ?? changed;
      const keys = Object.keys(parent);
      parent[keys[at % keys.length] ?? 'action'] = value;
    }
    return { name, body: JSON.stringify(changed) };
  });

describe('A mutated request', function () {
  this.timeout(120_000);
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  async function statusOf({ path, headers, body }: FuzzedRequest): Promise<number> {
    const request = httpRequest(`${ingress.url}${path}`, { method: 'POST', headers });
    request.end(body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode ?? 0;
  }

  async function neverFails(requests: fc.Arbitrary<FuzzedRequest>): Promise<void> {
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(requests, async (request) => {
        const status = await statusOf(request);
        seen.add(status);
        assert.ok(status >= 200 && status < 500, `${status}\n${ingress.log.at(-1)}`);
      }),
      { numRuns: 300 },
    );
    assert.ok(seen.has(202) && seen.size > 1, `only ${[...seen].join(', ')}`);
    assert.equal((await postEvent(ingress)).status, 202);
  }

  it('to /events is never our failure', () => neverFails(toEvents));

  it('to /events/:type is never our failure', () => neverFails(toType));

  it('to /hooks/github, well signed, is never our failure', async () => {
    await fc.assert(
      fc.asyncProperty(toHook, async ({ name, body }) => {
        const status = await statusOf({
          path: '/hooks/github',
          headers: {
            'content-type': 'application/json',
            'x-github-event': name,
            'x-hub-signature-256': await sign(GITHUB_SECRET, body),
          },
          body: Buffer.from(body),
        });
        assert.equal(status, 202, ingress.log.at(-1));
      }),
      { numRuns: 300 },
    );
  });
});
