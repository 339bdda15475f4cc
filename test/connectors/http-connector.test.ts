import assert from 'node:assert/strict';
import { httpConnector } from '../../src/connectors/http/index.ts';
import type { BoundConnector } from '../../src/model/connector.ts';
import { bindOne, memoryOutbox, problemFrom, testCall } from './support/bound.ts';
import { type Answer, type ReceivedRequest, startReceiver } from './support/local-server.ts';

const TOKEN = 'token-of-the-receiver';

/** A receiver as the real connector needs one: it knows an idempotency key again. */
interface World {
  readonly bound: BoundConnector;
  /** Effects had, once each: path and JSON, in order. */
  effects(): readonly { readonly path: string; readonly json: unknown }[];
  close(): Promise<void>;
}

async function realWorld(): Promise<World> {
  const seen = new Map<string, { path: string; json: unknown }>();
  const receiver = await startReceiver(({ method, url, headers, body }) => {
    if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 401 };
    if (method !== 'GET') {
      const key = headers['idempotency-key'];
      if (typeof key !== 'string') return { status: 400, body: 'no idempotency key' };
      if (!seen.has(key)) seen.set(key, { path: url, json: body === '' ? null : JSON.parse(body) });
    }
    return { status: 200 };
  });
  const env = { TIDEGATE_HTTP_BASE_URL: receiver.url, TIDEGATE_HTTP_TOKEN: TOKEN };
  return {
    bound: bindOne(httpConnector, env),
    effects: () => [...seen.values()],
    close: receiver.close,
  };
}

async function fakeWorld(): Promise<World> {
  const outbox = memoryOutbox();
  return {
    bound: bindOne(httpConnector, {}, outbox),
    effects: () =>
      outbox.entries.map(({ input }) => {
        const { path, json = null } = input as { readonly path: string; readonly json?: unknown };
        return { path, json };
      }),
    close: async () => undefined,
  };
}

for (const [name, start] of [
  ['http against a real receiver', realWorld],
  ['the fake of http', fakeWorld],
] as const) {
  describe(name, () => {
    let world: World;
    beforeEach(async () => {
      world = await start();
    });
    afterEach(() => world.close());

    it('answers a GET with status and body, and has no effect', async () => {
      assert.deepEqual(await world.bound.run('get', { path: '/deals?stage=won' }, testCall()), {
        status: 200,
        body: null,
      });
      assert.deepEqual(world.effects(), []);
    });

    it('posts JSON once per idempotency key', async () => {
      const input = { path: '/notes', json: { text: 'hi' } };
      const first = await world.bound.run('post', input, testCall());
      const again = await world.bound.run('post', input, testCall({ attempt: 2 }));
      assert.deepEqual(first, { status: 200, body: null });
      assert.deepEqual(again, first);
      assert.deepEqual(world.effects(), [input]);
      await world.bound.run('post', input, testCall({ idempotencyKey: 'another' }));
      assert.equal(world.effects().length, 2);
    });

    it('sends any method, with keys in any script', async () => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
        const call = testCall({ idempotencyKey: `käse:${method}` });
        await world.bound.run('request', { method, path: `/${method}` }, call);
      }
      assert.deepEqual(
        world.effects().map(({ path }) => path),
        ['/POST', '/PUT', '/PATCH', '/DELETE'],
      );
    });

    it('refuses what it must not send, and has no effect', async () => {
      const refused = [
        { method: 'POST', path: '//evil.example.com/x' },
        { method: 'POST', path: '/notes/../admin' },
        { method: 'BREW', path: '/pot' },
        { method: 'POST', path: '/notes', headers: { Authorization: 'Bearer mine' } },
        { method: 'POST', path: '/notes', headers: { 'idempotency-key': 'mine' } },
        { method: 'POST', path: '/notes', headers: { Host: 'evil.example.com' } },
      ] as const;
      for (const input of refused) {
        const { errorClass } = await problemFrom(world.bound.run('request', input, testCall()));
        assert.equal(errorClass, 'fatal', JSON.stringify(input));
      }
      assert.deepEqual(world.effects(), []);
    });

    it('repeats a post freely: the receiver knows the key', () => {
      assert.notEqual(world.bound.operation('post')?.repeatable, false);
    });
  });
}

describe('http', () => {
  const answered = async (answer: Answer, input: object = { path: '/x' }) => {
    const received: ReceivedRequest[] = [];
    const receiver = await startReceiver((request) => {
      received.push(request);
      return answer;
    });
    try {
      const bound = bindOne(httpConnector, { TIDEGATE_HTTP_BASE_URL: receiver.url });
      return { result: await bound.run('get', input as never, testCall()), received };
    } finally {
      await receiver.close();
    }
  };

  const json = { 'content-type': 'application/problem+json; charset=utf-8' };
  it('parses JSON by its content type, gives other text as it is, and survives a wrong label', async () => {
    const body = async (answer: Answer) =>
      ((await answered(answer)).result as { body: unknown }).body;
    assert.deepEqual(await body({ headers: json, body: '{"a":[1]}' }), { a: [1] });
    assert.equal(
      await body({ headers: { 'content-type': 'text/plain' }, body: '{"a":1}' }),
      '{"a":1}',
    );
    assert.equal(await body({ headers: json, body: 'oops' }), 'oops');
  });

  it('sends own headers, and no token when none is configured', async () => {
    const { received } = await answered({}, { path: '/x', headers: { 'x-team': 'revops' } });
    assert.equal(received[0]?.headers['x-team'], 'revops');
    assert.equal(received[0]?.headers.authorization, undefined);
  });
});
