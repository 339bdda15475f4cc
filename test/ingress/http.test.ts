import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { after, before, describe, it } from 'mocha';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { accessWith } from '../access/support.ts';
import {
  BATCH,
  cloudEvent,
  countKept,
  JSON_TYPE,
  post,
  postEvent,
  STRUCTURED,
  send,
  startTestIngress,
  type TestIngress,
} from './support.ts';

describe('The ingress over HTTP', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  for (const [name, body, headers] of [
    ['structured', '{"specversion":', STRUCTURED],
    ['batch', '[{},]', BATCH],
    ['binary', 'secret', { ...JSON_TYPE, 'ce-id': 'x' }],
    ['empty', '', STRUCTURED],
    ['not UTF-8', new Uint8Array([0x22, 0xff, 0xfe, 0x22]), STRUCTURED],
  ] as const) {
    it(`answers malformed JSON with 400 and does not repeat it (${name})`, async () => {
      const before = await countKept(ingress);
      const answer = await post(`${ingress.url}/events`, body, headers);
      assert.equal(answer.status, 400);
      assert.equal(answer.body.code, 'malformed_json');
      assert.doesNotMatch(JSON.stringify(answer.body), /secret|specversion/);
      assert.deepEqual(await countKept(ingress), before);
    });
  }

  it('describes a problem by title, status, code and detail', async () => {
    const { body, headers, status } = await post(`${ingress.url}/events`, 'x', STRUCTURED);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(body.status, status);
    assert.ok(body.title && body.detail && body.code);
  });

  for (const type of [
    'text/plain',
    'application/xml',
    'application/cloudevents+xml',
    'application/json; charset=latin1',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/octet-stream',
    'garbage',
  ]) {
    it(`answers the content type ${type} with 415`, async () => {
      const answer = await post(`${ingress.url}/events`, '{}', { 'content-type': type });
      assert.equal(answer.status, 415);
      assert.equal(answer.body.code, 'unsupported_media_type');
    });
  }

  it('answers a body without a content type with 415', async () => {
    const body = new Uint8Array(Buffer.from(JSON.stringify(cloudEvent())));
    assert.equal((await send(`${ingress.url}/events`, { method: 'POST', body })).status, 415);
  });

  for (const encoding of ['gzip', 'br', 'deflate', 'identity, gzip', 'nonsense']) {
    it(`answers the content encoding ${encoding} with 415 and inflates nothing`, async () => {
      const body = new Uint8Array(gzipSync(JSON.stringify(cloudEvent())));
      const headers = { ...STRUCTURED, 'content-encoding': encoding };
      const answer = await post(`${ingress.url}/events`, body, headers);
      assert.equal(answer.status, 415);
      assert.equal(answer.body.code, 'unsupported_encoding');
    });
  }

  it('takes the content encoding identity', async () => {
    const headers = { ...STRUCTURED, 'content-encoding': 'Identity' };
    const answer = await post(`${ingress.url}/events`, JSON.stringify(cloudEvent()), headers);
    assert.equal(answer.status, 202);
  });

  it('answers an announced oversize body with 413', async () => {
    const answer = await post(
      `${ingress.url}/events`,
      'x'.repeat(LIMITS.bodyBytesMax + 1),
      STRUCTURED,
    );
    assert.equal(answer.status, 413);
    assert.equal(answer.body.code, 'body_too_large');
  });

  it('answers an unannounced oversize body with 413 while it is still being sent', async () => {
    const request = httpRequest(`${ingress.url}/events`, { method: 'POST', headers: STRUCTURED });
    request.on('error', () => undefined);
    request.write('x'.repeat(LIMITS.bodyBytesMax));
    request.write('xx');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 413);
    request.destroy();
  });

  it('takes a body of exactly the limit', async () => {
    const event = JSON.stringify(cloudEvent());
    const body = `[${event}${' '.repeat(LIMITS.bodyBytesMax - event.length - 2)}]`;
    assert.equal((await post(`${ingress.url}/events`, body, BATCH)).status, 202);
  });

  it('survives a sender that goes away in the middle of a body', async () => {
    const before = await countKept(ingress);
    const { port } = new URL(ingress.url);
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cloudevents+json\r\nContent-Length: 1000\r\n\r\n{"id":',
    );
    socket.end();
    socket.resume();
    await once(socket, 'close');
    assert.equal((await send(`${ingress.url}/healthz`, {})).status, 200);
    assert.deepEqual(await countKept(ingress), before);
  });

  for (const [method, path, allow] of [
    ['GET', '/events', 'POST'],
    ['PUT', '/events', 'POST'],
    ['DELETE', '/events/thing.seen', 'POST'],
    ['OPTIONS', '/events', 'POST'],
    ['GET', '/hooks/github', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['POST', '/readyz', 'GET, HEAD'],
  ] as const) {
    it(`answers ${method} ${path} with 405 and Allow: ${allow}`, async () => {
      const answer = await send(`${ingress.url}${path}`, { method });
      assert.equal(answer.status, 405);
      assert.equal(answer.body.code, 'method_not_allowed');
      assert.equal(answer.headers.get('allow'), allow);
    });
  }

  for (const path of ['/', '/nothing', '/events/a/b', '/hooks', '/events/%E0%A4%A']) {
    it(`answers the unknown path ${path} with 404`, async () => {
      const answer = await post(`${ingress.url}${path}`, '{}', JSON_TYPE);
      assert.equal(answer.status, 404);
      assert.equal(answer.body.code, 'not_found');
    });
  }

  it('does not say what it is made of', async () => {
    assert.equal((await postEvent(ingress)).headers.get('x-powered-by'), null);
  });

  it('answers a host name of the web with 403 on the loopback interface', async () => {
    const request = httpRequest(`${ingress.url}/events`, {
      method: 'POST',
      headers: { ...STRUCTURED, host: 'evil.example' },
    });
    request.end(JSON.stringify(cloudEvent()));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    assert.equal(response.statusCode, 403);
  });
});

describe('A bearer token', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress({ access: accessWith({ token: 'the-token-of-this-test' }) });
  });
  after(() => ingress.stop());

  const sendWith = (path: string, authorization: Readonly<Record<string, string>>) =>
    post(`${ingress.url}${path}`, '{}', { ...JSON_TYPE, ...authorization });

  for (const [name, header] of Object.entries({
    'no header': {},
    'another token': { authorization: 'Bearer the-token-of-another' },
    'the start of the token': { authorization: 'Bearer the-token' },
    'an empty token': { authorization: 'Bearer ' },
    'another scheme': { authorization: 'Basic the-token-of-this-test' },
  })) {
    it(`is asked for by /events and /events/:type (${name})`, async () => {
      for (const path of ['/events', '/events/thing.seen']) {
        const answer = await sendWith(path, header as Record<string, string>);
        assert.equal(answer.status, 401);
        assert.equal(answer.body.code, 'unauthorized');
        assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer realm="tidegate"/);
      }
    });
  }

  it('lets its holder in', async () => {
    const header = { authorization: 'Bearer the-token-of-this-test' };
    assert.equal((await sendWith('/events/thing.seen', header)).status, 202);
  });

  it('is not asked for by /hooks and /healthz', async () => {
    assert.equal((await sendWith('/hooks/github', {})).body.code, 'signature_missing');
    assert.equal((await send(`${ingress.url}/healthz`, {})).status, 200);
  });

  it('must not be empty', () => {
    assert.throws(
      () => accessWith({ token: '' }),
      (error: unknown) => TidegateError.is(error, 'config_invalid'),
    );
  });
});

describe('Health', () => {
  it('is ready when everything answers', async () => {
    const ingress = await startTestIngress({ checks: { temporal: async () => undefined } });
    const answer = await send(`${ingress.url}/readyz`, {});
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { status: 'ready', checks: { journal: 'up', temporal: 'up' } });
    await ingress.stop();
  });

  it('is not ready, and says what is down, but alive, when Temporal or the journal is away', async () => {
    const journal = await openJournal({});
    const ingress = await startTestIngress({
      journal,
      checks: {
        temporal: async () => {
          throw new Error('connect ECONNREFUSED');
        },
      },
    });
    await journal.close();
    const answer = await send(`${ingress.url}/readyz`, {});
    assert.equal(answer.status, 503);
    assert.equal(answer.body.code, 'not_ready');
    assert.deepEqual(
      answer.body.errors?.map(({ path }) => path),
      ['journal', 'temporal'],
    );
    assert.ok(answer.headers.get('retry-after'));
    assert.equal((await send(`${ingress.url}/healthz`, {})).status, 200);
    await ingress.stop();
  });
});
