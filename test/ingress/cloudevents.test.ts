import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  cloudEvent,
  post,
  postEvent,
  STRUCTURED,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from './support.ts';

describe('POST /events', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const deal = (fields: object = {}) => ({
    type: 'deal.stage_changed',
    data: { dealId: 'd-1', stage: 'won', amount: 5_000, currency: 'USD', ...fields },
  });

  it('takes a structured event, answers after the commit and tells the dispatcher', async () => {
    const answer = await postEvent(ingress, { ...deal(), id: 's-1' });
    assert.equal(answer.status, 202);
    assert.deepEqual(answer.body.results, [
      {
        id: 's-1',
        status: 'accepted',
        correlationId: 's-1',
        deliveries: [
          { flow: 'dealDigest', key: 'd-1', run: 'dealDigest:default:d-1' },
          { flow: 'dealAudit', key: 'test/s-1', run: 'dealAudit:default:test/s-1' },
        ],
      },
    ]);
    const [row] = await ingress.journal.findEvents('default', 's-1');
    assert.equal(row?.status, 'accepted');
    const told = ingress.appended.filter(({ event }) => event.id === 's-1');
    assert.deepEqual(
      told.map(({ target }) => [target.run, target.number]),
      [
        ['dealDigest:default:d-1', 1],
        ['dealAudit:default:test/s-1', 1],
      ],
    );
    assert.deepEqual(told[0]?.event, row?.event);
  });

  it('fills in what the sender left out', async () => {
    await postEvent(ingress, { ...deal(), id: 'filled' });
    const { time, ...event } = await storedEvent(ingress, 'filled');
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 3_600_000);
    assert.deepEqual(event, {
      specversion: '1.0',
      id: 'filled',
      source: 'test',
      type: 'deal.stage_changed',
      subject: 'd-1',
      data: { dealId: 'd-1', stage: 'won', amount: 5_000, currency: 'USD' },
      tenantid: 'default',
      schemaversion: 2,
      correlationid: 'filled',
      origin: 'system',
      hops: 0,
    });
  });

  it('keeps what the sender gave', async () => {
    const given = {
      time: '2026-02-03T04:05:06.123456789+02:00',
      subject: 'the subject',
      tenantid: 'acme',
      correlationid: 'story',
      causationid: 'cause',
      actor: 'anna',
      origin: 'tidegate:dealDigest',
      hops: 3,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    const answer = await postEvent(ingress, { ...deal(), ...given, id: 'given' });
    assert.equal(answer.body.results?.[0]?.correlationId, 'story');
    const event = await storedEvent(ingress, 'given');
    assert.deepEqual({ ...event, ...given }, event);
  });

  it('brings data of an older version to the current one', async () => {
    const data = { dealId: 'd-1', stage: 'won', amount: 5_000, unknown: { kept: true } };
    await postEvent(ingress, { type: 'deal.stage_changed', data, schemaversion: 1, id: 'old' });
    const event = await storedEvent(ingress, 'old');
    assert.equal(event.schemaversion, 2);
    assert.deepEqual(event.data, { ...data, currency: 'EUR' });
  });

  it('takes a binary event with percent-encoded and quoted attributes', async () => {
    const answer = await post(`${ingress.url}/events`, '{"a":1}', {
      'content-type': 'application/vnd.acme+json; charset=UTF-8',
      'ce-specversion': '1.0',
      'ce-id': 'b%201%25',
      'ce-source': '"quoted"',
      'ce-type': 'thing.seen',
      'ce-subject': '"\\"Gr%C3%BC%C3%9Fe\\"%20%E2%82%AC"',
      'ce-hops': '2',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    assert.equal(answer.status, 202);
    const event = await storedEvent(ingress, 'b 1%');
    assert.equal(event.source, 'quoted');
    assert.equal(event.subject, '"Grüße" €');
    assert.equal(event.hops, 2);
    assert.equal(event.traceparent, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    assert.deepEqual(event.data, { a: 1 });
  });

  it('takes a binary event without a body', async () => {
    const answer = await post(`${ingress.url}/events`, '', {
      'ce-specversion': '1.0',
      'ce-id': 'no-body',
      'ce-source': 'test',
      'ce-type': 'thing.seen',
      'content-type': '',
    });
    assert.equal(answer.status, 202);
    assert.equal((await storedEvent(ingress, 'no-body')).data, null);
  });

  it('takes JSON in data_base64', async () => {
    const base64 = Buffer.from('{"text":"ü"}').toString('base64');
    const event = { ...cloudEvent({ id: 'base64' }), data: undefined, data_base64: base64 };
    const answer = await post(`${ingress.url}/events`, JSON.stringify(event), STRUCTURED);
    assert.equal(answer.status, 202);
    assert.deepEqual((await storedEvent(ingress, 'base64')).data, { text: 'ü' });
  });

  for (const data of [1.5, 'a string', null, [1, 2], true]) {
    it(`takes data that is ${JSON.stringify(data)}`, async () => {
      const answer = await postEvent(ingress, { data, id: `data-${JSON.stringify(data)}` });
      assert.equal(answer.status, 202);
      const event = await storedEvent(ingress, `data-${JSON.stringify(data)}`);
      assert.deepEqual(event.data, data);
    });
  }

  it('keeps keys such as constructor and toString as data', async () => {
    const data = { constructor: { prototype: { x: 1 } }, toString: 'text', hasOwnProperty: 1 };
    assert.equal((await postEvent(ingress, { id: 'poison', data })).status, 202);
    assert.deepEqual((await storedEvent(ingress, 'poison')).data, data);
  });

  it('keeps NUL and half surrogate pairs in data', async () => {
    const data = { text: 'a\u0000b\ud800c', 'key\u0000': 1 };
    assert.equal((await postEvent(ingress, { id: 'nul', data })).status, 202);
    assert.deepEqual((await storedEvent(ingress, 'nul')).data, data);
  });

  it('does not round integers beyond 2^53: they become strings of their digits', async () => {
    const body = JSON.stringify(cloudEvent({ id: 'big' })).replace(
      '"data":{}',
      '"data":{"a":123456789012345678,"b":-9007199254740993,"c":"123456789012345678","d":1e400,"e":9007199254740991,"f":0.1234567890123456}',
    );
    assert.equal((await post(`${ingress.url}/events`, body, STRUCTURED)).status, 202);
    assert.deepEqual((await storedEvent(ingress, 'big')).data, {
      a: '123456789012345678',
      b: '-9007199254740993',
      c: '123456789012345678',
      d: '1e400',
      e: 9007199254740991,
      f: 0.1234567890123456,
    });
  });

  it('gives two 18-digit ids that differ in the last digit two runs', async () => {
    const keys = [];
    for (const key of ['123456789012345678', '123456789012345679']) {
      const body = JSON.stringify(cloudEvent({ type: 'thing.keyed' })).replace(
        '"data":{}',
        `"data":{"key":${key}}`,
      );
      const answer = await post(`${ingress.url}/events`, body, STRUCTURED);
      keys.push(answer.body.results?.[0]?.deliveries[0]?.key);
    }
    assert.deepEqual(keys, ['123456789012345678', '123456789012345679']);
  });
});
