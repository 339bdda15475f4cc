import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  JSON_TYPE,
  post,
  send,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from './support.ts';

describe('POST /events/:type', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const plain = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    post(`${ingress.url}/events/${path}`, JSON.stringify(body), { ...JSON_TYPE, ...headers });

  it('takes the body as the data of the type, under a random id', async () => {
    const first = await plain('thing.seen', { a: 1 });
    const second = await plain('thing.seen', { a: 1 });
    assert.equal(first.status, 202);
    const [one, two] = [first.body.results?.[0], second.body.results?.[0]];
    assert.notEqual(one?.id, two?.id);
    assert.deepEqual([one?.status, two?.status], ['accepted', 'accepted']);
    const event = await storedEvent(ingress, one?.id ?? '');
    assert.equal(event.source, 'http');
    assert.equal(event.type, 'thing.seen');
    assert.deepEqual(event.data, { a: 1 });
  });

  it('takes Idempotency-Key as the id, with or without quotes', async () => {
    const first = await plain('thing.seen', {}, { 'idempotency-key': 'key-1' });
    const again = await plain('thing.seen', {}, { 'idempotency-key': '"key-1"' });
    assert.equal(first.body.results?.[0]?.id, 'key-1');
    assert.equal(again.body.results?.[0]?.status, 'duplicate');
  });

  it('takes another source from the query or a header', async () => {
    const fromQuery = await plain('thing.seen?source=crm', {}, { 'idempotency-key': 'same' });
    const fromHeader = await plain(
      'thing.seen',
      {},
      { 'idempotency-key': 'same', 'ce-source': 'erp' },
    );
    const neither = await plain('thing.seen', {}, { 'idempotency-key': 'same' });
    assert.deepEqual(
      [fromQuery, fromHeader, neither].map(({ body }) => body.results?.[0]?.deliveries[0]?.key),
      ['crm/same', 'erp/same', 'http/same'],
    );
  });

  it('takes other attributes from ce-* headers, but not the type', async () => {
    const answer = await plain(
      'thing.seen',
      {},
      {
        'ce-id': 'plain-ce',
        'ce-type': 'thing.other',
        'ce-tenantid': 'acme',
        'ce-subject': 's%201',
        'ce-time': '2026-01-02T03:04:05Z',
      },
    );
    assert.equal(answer.status, 202);
    const event = await storedEvent(ingress, 'plain-ce');
    assert.deepEqual(
      [event.type, event.tenantid, event.subject, event.time],
      ['thing.seen', 'acme', 's 1', '2026-01-02T03:04:05Z'],
    );
  });

  it('takes a type with a percent-encoded slash as one name', async () => {
    const answer = await plain('thing.seen%2F2', {}, { 'idempotency-key': 'slash' });
    assert.equal(answer.body.results?.[0]?.reason, 'unknown_type');
  });

  it('refuses an empty key and a source that is there twice', async () => {
    const twice = await plain('thing.seen?source=a&source=b', {});
    assert.deepEqual(
      twice.body.errors?.map(({ path }) => path),
      ['source'],
    );
    assert.equal((await plain('thing.seen', {}, { 'idempotency-key': '""' })).status, 422);
    assert.equal(
      (await plain('thing.seen', {}, { 'idempotency-key': 'x'.repeat(600) })).status,
      422,
    );
  });

  it('answers a broken contract with 422', async () => {
    const answer = await plain('deal.stage_changed', { dealId: 1 });
    assert.equal(answer.status, 422);
    assert.equal(answer.body.code, 'contract_violation');
  });

  it('says how to send JSON to a sender that forgot the content type', async () => {
    const answer = await send(`${ingress.url}/events/thing.seen`, {
      method: 'POST',
      body: new URLSearchParams({ a: '1' }),
    });
    assert.equal(answer.status, 415);
    assert.equal(answer.body.code, 'unsupported_media_type');
    assert.match(answer.body.detail ?? '', /application\/json/);
  });
});
