import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { until } from '../support/wait.ts';
import { bindOne, problemFrom, testCall } from './support/bound.ts';
import { type Answer, type Receiver, startReceiver } from './support/local-server.ts';

const TOKEN = 's3cret-token-of-the-crm';

interface RequestInput {
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
const probe = defineConnector({
  name: 'probe',
  config: z.object({ baseUrl: z.url(), token: z.string() }),
  operations: {
    read: {
      effect: 'read',
      timeout: '10s',
      run: async ({ path, ...init }: RequestInput, call) => (await call.fetch(path, init)).text(),
    },
    write: {
      effect: 'write',
      timeout: '10s',
      run: async ({ path, ...init }: RequestInput, call) => (await call.fetch(path, init)).text(),
    },
    once: {
      effect: 'write',
      timeout: '10s',
      repeatable: false,
      run: async ({ path, ...init }: RequestInput, call) => (await call.fetch(path, init)).text(),
    },
  },
  fake: { read: () => '' },
});
const post = { path: '/notes', method: 'POST', json: { text: 'hi' } } as const;

describe('call.fetch', () => {
  let receiver: Receiver;
  let answer: Answer = {};
  before(async () => {
    receiver = await startReceiver(() => answer);
  });
  after(() => receiver.close());
  beforeEach(() => {
    answer = {};
  });

  const bound = (baseUrl = `${receiver.url}/api/`, token = TOKEN) =>
    bindOne(probe, { TIDEGATE_PROBE_BASE_URL: baseUrl, TIDEGATE_PROBE_TOKEN: token });
  const last = () => {
    const request = receiver.requests.at(-1);
    assert.ok(request);
    return request;
  };

  it('sends the token, the idempotency key and JSON to a path below the base URL', async () => {
    answer = { body: 'thanks' };
    assert.equal(await bound().run('write', post, testCall()), 'thanks');
    const { method, url, headers, body } = last();
    assert.equal(`${method} ${url}`, 'POST /api/notes');
    assert.equal(headers.authorization, `Bearer ${TOKEN}`);
    assert.equal(headers['idempotency-key'], 'run-1/step-1');
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(body), { text: 'hi' });
  });

  it('sends no idempotency key with a GET, so that a write after it can have it', async () => {
    await bound().run('read', { path: '/deals/17' }, testCall());
    assert.equal(last().headers['idempotency-key'], undefined);
  });

  it('sends the hash of a key that no header can carry, the same one every time', async () => {
    const sent: unknown[] = [];
    for (const key of ['run:acme:käse/1', 'run:acme:käse/1', `k${'x'.repeat(300)}`, 'trailing ']) {
      await bound().run('write', post, testCall({ idempotencyKey: key }));
      sent.push(last().headers['idempotency-key']);
    }
    assert.ok(sent.every((key) => /^sha256:[0-9a-f]{64}$/.test(String(key))));
    assert.equal(sent[0], sent[1]);
    assert.equal(new Set(sent).size, 3);
  });

  it('says method, path and status of a refusal, with no more than a redacted excerpt', async () => {
    answer = {
      status: 422,
      body: JSON.stringify({
        error: `token ${TOKEN} of jane.doe@example.com (+49 170 1234567) may not`,
        session: 'eyJhbGciOiJIUzI1NiJ9abc123def456',
        filler: 'x '.repeat(1_000),
      }),
    };
    const { message, errorClass } = await problemFrom(
      bound().run('read', { path: '/deals?api_key=hush' }, testCall()),
    );
    assert.equal(errorClass, 'fatal');
    assert.match(
      message,
      /^GET \/api\/deals answered 422: \{"error":"token \[redacted\] of \[email\]/,
    );
    assert.doesNotMatch(message, /s3cret|jane|1234567|eyJhb|hush/);
    assert.ok(message.length < LIMITS.errorExcerptCharactersMax + 50);
  });

  it('keeps the token out of messages when it is echoed in an encoded form', async () => {
    const token = 'a b/c"d+e1234';
    answer = {
      status: 400,
      body: `${encodeURIComponent(token)} ${JSON.stringify(token)} ${Buffer.from(token).toString('base64')}`,
    };
    const { message } = await problemFrom(
      bound(undefined, token).run('read', { path: '/x' }, testCall()),
    );
    assert.equal(message, 'GET /api/x answered 400: [redacted] "[redacted]" [redacted]');
  });

  it('does not follow a redirect, to another host or to this one', async () => {
    const thief = await startReceiver(() => ({}));
    try {
      for (const [location, told] of [
        [`${thief.url}/steal?to=me`, ` to ${thief.url}.`],
        ['/elsewhere', ' within the same host.'],
      ] as const) {
        answer = { status: 307, headers: { location } };
        const before = receiver.requests.length;
        const { message, errorClass } = await problemFrom(bound().run('write', post, testCall()));
        assert.equal(errorClass, 'persistent');
        assert.ok(message.includes(told), message);
        assert.doesNotMatch(message, /steal/);
        assert.equal(receiver.requests.length, before + 1);
      }
      assert.equal(thief.requests.length, 0);
    } finally {
      await thief.close();
    }
  });

  it('refuses a path that leaves the base URL, and sends nothing', async () => {
    const before = receiver.requests.length;
    for (const path of ['//127.0.0.1:1/x', `${receiver.url}/x`, '/../x', '/%2e%2e/x']) {
      const { errorClass } = await problemFrom(bound().run('read', { path }, testCall()));
      assert.equal(errorClass, 'fatal');
    }
    assert.equal(receiver.requests.length, before);
  });

  it('reads an answer only up to its limit, also when it is small until unpacked', async () => {
    const body = 'x'.repeat(LIMITS.responseBytesMax + 1);
    const packed = gzipSync(body);
    const bomb = await startReceiver(() => ({ body }));
    const { createServer } = await import('node:http');
    const zipped = createServer((_, outgoing) => {
      outgoing.writeHead(200, { 'content-encoding': 'gzip' });
      outgoing.end(packed);
    });
    await new Promise<void>((resolve) => zipped.listen(0, '127.0.0.1', resolve));
    try {
      const address = zipped.address();
      assert.ok(typeof address === 'object' && address !== null);
      for (const url of [bomb.url, `http://127.0.0.1:${address.port}`]) {
        const { message, errorClass } = await problemFrom(
          bound(url).run('read', { path: '/' }, testCall()),
        );
        assert.equal(errorClass, 'fatal');
        assert.match(message, /answered more than 1048576 bytes/);
      }
    } finally {
      zipped.close();
      await bomb.close();
    }
  });

  it('reads an answer of exactly the limit', async () => {
    answer = { body: 'x'.repeat(LIMITS.responseBytesMax) };
    const text = await bound().run('read', { path: '/' }, testCall());
    assert.equal(String(text).length, LIMITS.responseBytesMax);
  });

  it('gives an answer without a body', async () => {
    answer = { status: 204 };
    assert.equal(await bound().run('write', post, testCall()), '');
  });

  for (const cut of ['before', 'within'] as const) {
    it(`is transient, and unknown where it cannot be repeated, when the connection ends ${cut} the answer`, async () => {
      answer = { cut };
      const classOf = async (operation: string) =>
        (await problemFrom(bound().run(operation, post, testCall()))).errorClass;
      assert.equal(await classOf('read'), 'transient');
      assert.equal(await classOf('write'), 'transient');
      assert.equal(await classOf('once'), 'unknown');
    });
  }

  it('is transient even for a write that cannot be repeated when nobody listens', async () => {
    const gone = await startReceiver(() => ({}));
    await gone.close();
    const problem = await problemFrom(bound(gone.url).run('once', post, testCall()));
    assert.equal(problem.errorClass, 'transient');
    assert.match(problem.message, /^POST \/notes at 127\.0\.0\.1:\d+ failed: ECONNREFUSED$/);
  });

  it('ends with its signal, and the reason of the signal is the failure', async () => {
    answer = { silent: true };
    const controller = new AbortController();
    const before = receiver.requests.length;
    const running = problemFrom(
      bound().run('write', post, testCall({ signal: controller.signal })),
    );
    await until('the request', () => receiver.requests.length > before);
    controller.abort(new DOMException('enough', 'TimeoutError'));
    assert.match((await running).message, /enough/);
  });

  it('names the header that cannot be sent, never its value', async () => {
    const { message, errorClass } = await problemFrom(
      bound(undefined, 'line\nbreak-token').run('read', { path: '/x' }, testCall()),
    );
    assert.equal(errorClass, 'fatal');
    assert.match(message, /^the header authorization has a character/);
    assert.doesNotMatch(message, /break-token/);
  });
});
