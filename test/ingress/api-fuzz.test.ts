/**
 * Requests made from the published document, sent to a process as it runs: whatever is sent, the answer
 * is one that the document has. TIDEGATE_FUZZ_RUNS is how many requests each operation gets,
 * TIDEGATE_FUZZ_SEED repeats a failure.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { sign } from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { makeRunId } from '../../src/model/run.ts';
import {
  type DocumentedOperation,
  type Judge,
  judgeBy,
  type RealAnswer,
  resolveIn,
} from '../openapi/support/answers.ts';
import { hostileJson, hostileText, nearly, type Schema } from '../openapi/support/arbitrary.ts';
import { startProcess, type TestProcess, TOKEN } from '../openapi/support/process.ts';
import { testEvent } from '../support/events.ts';
import { GITHUB_SECRET } from './support.ts';

const RUNS = Number(process.env.TIDEGATE_FUZZ_RUNS ?? 25);
const SEED = Number(process.env.TIDEGATE_FUZZ_SEED ?? Date.now() % 2 ** 31);

interface Made {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

describe(`Requests made from the OpenAPI document (seed ${SEED})`, function () {
  this.timeout(600_000);
  let system: TestProcess;
  let judge: Judge;
  let known: Awaited<ReturnType<typeof seeded>>;
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const statuses = new Map<string, Set<number>>();

  before(async () => {
    system = await startProcess();
    judge = judgeBy(system.document);
    known = await seeded(system);
  });
  after(async () => {
    agent.destroy();
    await system.stop();
  });

  async function send(method: string, { path, headers, body }: Made): Promise<RealAnswer> {
    const outgoing = httpRequest(`${system.url}${path}`, { method, headers, agent });
    outgoing.end(body);
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    const { statusCode: status = 0, headers: answered } = incoming;
    return { status, headers: answered, text: await text(incoming) };
  }

  /** Values of a parameter that lead to something. */
  function leading(path: string, name: string): readonly string[] {
    // A decision about a run that there is would wait for Temporal.
    if (path.endsWith('/decisions')) return ['seen:default:x'];
    const [, , , list = ''] = path.split('/');
    return known[`${list}.${name}`] ?? known[name] ?? ['1'];
  }

  /** A request without a fault, as far as one can be made without knowing more. */
  function faultless(path: string, { parameters = [], requestBody }: DocumentedOperation): Made {
    const [type = '', content] = Object.entries(requestBody?.content ?? {}).at(0) ?? [];
    const body = content === undefined ? Buffer.alloc(0) : bytesOf(type, content.example);
    const inPath = parameters.filter((each) => each.in === 'path');
    return {
      path: inPath.reduce(
        (address, { name }) =>
          address.replace(`{${name}}`, encodeURIComponent(leading(path, name)[0] ?? '')),
        path,
      ),
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(type === '' ? {} : { 'content-type': type }),
        'content-length': String(body.length),
      },
      body,
    };
  }

  /** What each operation is sent: the values of its schemas, nearly, and things that exist. */
  function requests(path: string, operation: DocumentedOperation): fc.Arbitrary<Made> {
    const resolve = resolveIn(system.document);
    const { parameters = [], requestBody } = operation;
    const of = (place: string) => parameters.filter((each) => each.in === place);
    const pathOf = fc
      .record(
        Object.fromEntries(
          of('path').map(({ name }) => [
            name,
            fc.oneof(fc.constantFrom(...leading(path, name)), hostileText),
          ]),
        ),
      )
      .map((values) =>
        path.replace(/\{(\w+)\}/g, (_all, name: string) =>
          // An address has no empty part, and `.` and `..` are resolved by the client.
          encodeURIComponent(String(values[name]).toWellFormed()).replace(/^\.{0,2}$/, '_'),
        ),
      );
    const queryOf = fc
      .array(
        fc.oneof(
          ...of('query').map(({ name, schema }) =>
            fc.tuple(
              fc.constant(name),
              fc.oneof(
                { weight: 3, arbitrary: nearly(schema, resolve).map(shown) },
                { weight: 2, arbitrary: fc.constantFrom(...leading(path, name)) },
              ),
            ),
          ),
          fc.tuple(
            fc.constantFrom('tenant', 'nonsense', 'limit', 'a[b]', '__proto__'),
            hostileText,
          ),
        ),
        { maxLength: 3 },
      )
      .map((pairs) =>
        pairs
          .map((pair) => pair.map((part) => encodeURIComponent(part.toWellFormed())).join('='))
          .join('&'),
      );
    const headersOf = fc.tuple(
      fc.dictionary(
        fc.constantFrom(
          ...of('header').map(({ name }) => name),
          'ce-x',
          'ce-time',
          'Content-Encoding',
          'X-Actor',
        ),
        fc.oneof(
          headerText,
          fc.constantFrom('1.0', 'thing.seen', 'wait=0', 'gzip', 'identity', '%', 'anna'),
        ),
        { maxKeys: 3 },
      ),
      fc.oneof(
        { weight: 12, arbitrary: fc.constant({ authorization: `Bearer ${TOKEN}` }) },
        { weight: 1, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: headerText.map((authorization) => ({ authorization })) },
      ),
    );
    return fc
      .tuple(pathOf, queryOf, headersOf, bodyOf(requestBody, resolve))
      .map(([address, query, [headers, credential], [type, body]]) => ({
        path: query === '' ? address : `${address}?${query}`,
        headers: {
          ...binary,
          ...headers,
          ...type,
          ...credential,
          // Else Node sends the body of a DELETE as another request.
          'content-length': String(body.length),
        },
        body,
      }));
  }

  for (const name of ['documented', 'undocumented'] as const) {
    it(`are answered as it says, whatever is in them (${name} methods)`, async () => {
      const operations = Object.entries(system.document.paths).flatMap(([path, item]) =>
        Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
      );
      const failures: string[] = [];
      for (const { path, method, operation } of operations) {
        const key = `${method} ${path}`;
        const property = fc.asyncProperty(
          requests(path, operation),
          fc.nat(3),
          async (made, at) => {
            if (name === 'undocumented') return otherMethod(path, made, at);
            const answer = await send(method, made);
            seen(key, answer.status);
            assert.notEqual(answer.status, 500, system.log.at(-1));
            assert.equal(judge(operation, answer), undefined);
          },
        );
        const numRuns = name === 'documented' ? RUNS : 3;
        const examples: [Made, number][] = [[faultless(path, operation), 0]];
        const result = await fc.check(property, { numRuns, seed: SEED, examples });
        if (result.failed) {
          const { message } = result.errorInstance as Error;
          failures.push(`${key}: ${message}\n${fc.defaultReportMessage(result)}`);
        }
      }
      assert.equal(failures.join('\n\n'), '');
      if (name === 'undocumented') return;
      const never = operations
        // Of an event type without an example nothing is known but its schema.
        .filter(({ path }) => !/^\/events\/[^{]/.test(path))
        .map(({ path, method }) => `${method} ${path}`)
        .filter((key) => ![...(statuses.get(key) ?? [])].some((status) => status < 300));
      assert.deepEqual(never, UNREACHED, 'these never succeeded, so little of them was tried');
    });
  }

  async function otherMethod(path: string, made: Made, at: number): Promise<void> {
    const methods = ['PUT', 'DELETE', 'PATCH', 'OPTIONS'];
    const answer = await send(methods[at] ?? 'PUT', made);
    const isApproval = path.startsWith('/approvals');
    assert.ok([401, 403, 404, 405].includes(answer.status), `${answer.status} ${path}`);
    if (answer.status === 405 && !isApproval) assert.ok(answer.headers.allow);
  }

  function seen(key: string, status: number): void {
    statuses.set(key, (statuses.get(key) ?? new Set()).add(status));
  }

  it('are answered as it says where Temporal is asked, which is away', async () => {
    const [run = ''] = known.run ?? [];
    const path = '/api/v1/runs/{run}/decisions';
    const answer = await send('post', {
      path: path.replace('{run}', encodeURIComponent(run)),
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: Buffer.from('{"action":"retry","reason":"fuzz"}'),
    });
    assert.equal(answer.status, 503);
    assert.equal(judge(system.document.paths[path]?.post ?? assert.fail(), answer), undefined);
  });

  it('are still answered when all is over', async () => {
    const answer = await send('get', { path: '/healthz', headers: {}, body: Buffer.alloc(0) });
    assert.equal(answer.status, 200);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    if (process.env.TIDEGATE_FUZZ_RUNS !== undefined) {
      for (const [key, found] of statuses) console.log(key, [...found].sort().join(' '));
    }
  });
});

/** Temporal is away here, a signature and a link's token are not guessed. */
const UNREACHED = [
  'post /hooks/{source}',
  'get /hooks/{source}',
  'get /readyz',
  'post /api/v1/runs/{run}/decisions',
  'get /approvals/{token}',
  'post /approvals/{token}',
];

/** Those of binary mode, so that `POST /events` gets as far as the journal. */
const binary = {
  'ce-specversion': '1.0',
  'ce-id': 'fuzz',
  'ce-source': 'fuzz',
  'ce-type': 'thing.seen',
};

/** What Node lets a client send as a header's value. */
const headerText = fc
  .array(
    fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f),
    { maxLength: 40 },
  )
  .map((codes) => String.fromCharCode(...codes));

type BodyHeaders = Readonly<Record<string, string>>;

function bodyOf(
  requestBody: DocumentedOperation['requestBody'],
  resolve: (ref: string) => Schema,
): fc.Arbitrary<readonly [BodyHeaders, Buffer]> {
  if (requestBody === undefined) return fc.constant([{}, Buffer.alloc(0)] as const);
  const documented = Object.entries(requestBody.content).map(([type, { schema, example }]) =>
    fc
      .tuple(
        fc.constantFrom('', '', '; charset=utf-8', '; charset=utf-16', ';', '; a="b;c"'),
        fc.oneof(nearly(type === BATCH ? EVENTS : schema, resolve), fc.constant(example)),
        fc.constantFrom(undefined, 'thing.seen', 'deal.stage_changed'),
      )
      .map(([parameter, value, eventType]) => {
        const named = type.includes('cloudevents') ? ofType(value, eventType) : value;
        return [{ 'content-type': `${type}${parameter}` }, bytesOf(type, named)] as const;
      }),
  );
  const wild = fc
    .tuple(
      fc.constantFrom('application/json', 'application/xml', 'text/plain', ''),
      fc.oneof(
        hostileJson.map((value) => JSON.stringify(value) ?? ''),
        hostileText,
      ),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    )
    .map(([type, content, flips]) => {
      const bytes = Buffer.from(content);
      for (const [at, byte] of flips) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return [{ 'content-type': type }, bytes] as const;
    });
  return fc.oneof(
    { weight: 4, arbitrary: fc.oneof(...documented) },
    { weight: 1, arbitrary: wild },
  );
}

const BATCH = 'application/cloudevents-batch+json';
const EVENTS: Schema = { type: 'array', items: { $ref: '#/components/schemas/CloudEvent' } };

/** Events of a type that has a contract get further than others. */
function ofType(value: unknown, type: string | undefined): unknown {
  if (type === undefined || typeof value !== 'object' || value === null) return value;
  return Array.isArray(value) ? value.map((each) => ofType(each, type)) : { ...value, type };
}

function bytesOf(type: string, value: unknown): Buffer {
  if (type !== 'application/x-www-form-urlencoded') return Buffer.from(JSON.stringify(value) ?? '');
  const fields = typeof value === 'object' && value !== null ? value : {};
  const shownFields = Object.entries(fields).map(([name, field]) => [name, shown(field)] as const);
  return Buffer.from(new URLSearchParams(Object.fromEntries(shownFields)).toString());
}

const shown = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value) ?? '');

/** Something of everything, and what it is called. */
async function seeded({ url, journal }: TestProcess) {
  const run = makeRunId({ flow: 'dealDigest', tenant: 'default', key: 'd-1' });
  const target = { flow: 'dealDigest', key: 'd-1', run };
  const raw = {
    source: 'github',
    receivedAt: new Date(),
    method: 'POST',
    headers: {},
    body: new Uint8Array(),
  };
  const entry = (id: string) => ({
    raw,
    event: testEvent({
      id,
      type: 'deal.stage_changed',
      data: { dealId: 'd-1', amount: 5_000 },
      correlationid: 'story',
      extensions: { part: 7 },
    }),
    status: 'accepted' as const,
    deliveries: [target],
  });
  await journal.append([entry('e-1'), entry('e-2'), entry('e-3')]);
  const { activities } = journal;
  await activities['journal.open']({ run, workflowRunId: 'w-1', firstNumber: 1 });
  await activities['journal.settle']({ run, workflowRunId: 'w-1', through: 1, outcome: 'lost' });
  // A run that is open would be asked what it does, and Temporal is away.
  await activities['journal.settle']({
    run,
    workflowRunId: 'w-1',
    through: 3,
    outcome: 'completed',
  });
  const parked = makeRunId({ flow: 'dealAudit', tenant: 'default', key: 'd-2' });
  await journal.append([
    { ...entry('e-4'), deliveries: [{ flow: 'dealAudit', key: 'd-2', run: parked }] },
  ]);
  await activities['journal.open']({ run: parked, workflowRunId: 'w-2', firstNumber: 1 });
  await activities['journal.park']({
    run: parked,
    workflowRunId: 'w-2',
    parkId: '1/approval#1',
    step: 'approval#1',
    reason: 'waits for anna',
    question: {
      kind: 'approval',
      title: 'Grant it?',
      context: { role: 'admin' },
      approvers: ['anna', 'ben'],
      need: 2,
      dueAt: 4_000_000_000_000,
    },
  });
  await activities['journal.voice']({
    run: parked,
    parkId: '1/approval#1',
    voice: { approver: 'ben', action: 'approve', reason: 'fine', at: 1, via: 'link' },
  });
  const call = async (path: string, body: string, headers: object = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}`, ...headers },
    });
    return (await answer.json()) as { readonly id?: string };
  };
  await call('/events/thing.unheard_of', '{}');
  await call('/events/thing.keyed', '{"key":"throw"}', { 'idempotency-key': 'held' });
  await call('/events/thing.filtered', '{"want":"throw"}', { 'idempotency-key': 'held-too' });
  const github = '{"zen":"x"}';
  await call('/hooks/github', github, {
    'x-github-event': 'issues',
    'x-hub-signature-256': await sign(GITHUB_SECRET, github),
  });
  const keys = await Promise.all(
    [1, 2, 3].map(() =>
      call('/api/v1/keys', '{"name":"k","tenant":null,"actions":["events:write"]}'),
    ),
  );
  const letters = (await journal.listDeadLetters({ limit: 100 })).rows;
  return {
    'events.id': ['e-1', 'e-2', 'held'],
    'dead-letters.id': letters.map(({ deadLetter }) => deadLetter).toReversed(),
    'keys.id': keys.flatMap(({ id }) => id ?? []),
    run: [run as string, 'seen:default:http/fuzz'],
    type: ['thing.seen', 'thing.keyed', 'toString'],
    source: ['github', 'http', 'test'],
    correlationId: ['story'],
    token: ['a.b.c', `${'a'.repeat(40)}.${'b'.repeat(90)}.${'c'.repeat(43)}`],
    tenant: ['default', 'acme'],
    limit: ['1', '50', '500'],
  } as Readonly<Record<string, readonly string[]>>;
}
