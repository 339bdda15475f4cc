import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  BATCH,
  cloudEvent,
  countKept,
  JSON_TYPE,
  post,
  postEvent,
  STRUCTURED,
  startTestIngress,
  type TestIngress,
} from './support.ts';

describe('What is not an event is refused with 422 invalid_event and nothing of it is kept:', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const text = (length: number) => 'x'.repeat(length);
  const broken: Readonly<Record<string, [fields: object, ...paths: string[]]>> = {
    'no id': [{ id: undefined }, 'id'],
    'no source, no type': [{ source: undefined, type: undefined }, 'source', 'type'],
    'no specversion': [{ specversion: undefined }, 'specversion'],
    'another specversion': [{ specversion: '0.3' }, 'specversion'],
    'an empty id': [{ id: '' }, 'id'],
    'an id that is a number': [{ id: 5 }, 'id'],
    'an id that is an object': [{ id: { toString: 'x' } }, 'id'],
    'an id over the limit': [{ id: text(513) }, 'id'],
    'an id with a control character': [{ id: 'a\nb' }, 'id'],
    'an id with NUL': [{ id: 'a\u0000b' }, 'id'],
    'a source with half a surrogate pair': [{ source: 'a\ud800' }, 'source'],
    'an identity over the bytes of an index row': [
      { id: '漢'.repeat(512), source: 's'.repeat(512) },
      'id',
    ],
    'a time that is none': [{ time: 'yesterday' }, 'time'],
    'a day that does not exist': [{ time: '2026-02-30T00:00:00Z' }, 'time'],
    'a time without a zone': [{ time: '2026-02-03T00:00:00' }, 'time'],
    'a time in the year 0': [{ time: '0000-02-03T00:00:00Z' }, 'time'],
    'an offset that PostgreSQL refuses': [{ time: '2026-02-03T00:00:00+23:00' }, 'time'],
    'a tenant with a colon': [{ tenantid: 'a:b' }, 'tenantid'],
    'a tenant over the limit': [{ tenantid: text(65) }, 'tenantid'],
    'negative hops': [{ hops: -1 }, 'hops'],
    'hops that are words': [{ hops: 'many' }, 'hops'],
    'a schemaversion of 0': [{ schemaversion: 0 }, 'schemaversion'],
    'a schemaversion that is no primitive': [
      { type: 'deal.stage_changed', schemaversion: { toString: 1, valueOf: 1 } },
      'schemaversion',
    ],
    'a schemaversion of 1.5': [{ schemaversion: 1.5 }, 'schemaversion'],
    'an unknown origin': [{ origin: 'martian' }, 'origin'],
    'an extension over the limit': [{ partitionkey: text(513) }, 'partitionkey'],
    'an extension that is an object': [{ partitionkey: {} }, 'partitionkey'],
    'data and data_base64': [{ data_base64: 'e30=' }, 'data_base64'],
    'base64 that is none': [{ data: undefined, data_base64: '%%%%' }, 'data_base64'],
    'base64 that is not JSON': [{ data: undefined, data_base64: 'AAAA' }, 'data_base64'],
    'data of another content type': [
      { data: undefined, data_base64: 'e30=', datacontenttype: 'image/png' },
      'datacontenttype',
    ],
  };
  for (const [name, [fields, ...paths]] of Object.entries(broken)) {
    it(name, async () => {
      const before = await countKept(ingress);
      const answer = await postEvent(ingress, { ...fields });
      assert.equal(answer.status, 422);
      assert.equal(answer.body.code, 'invalid_event');
      assert.deepEqual(
        answer.body.errors?.map(({ path }) => path),
        paths,
      );
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.deepEqual(await countKept(ingress), before);
    });
  }

  it('a key __proto__ anywhere in the data', async () => {
    const body = JSON.stringify(cloudEvent()).replace(
      '"data":{}',
      '"data":{"a":[{"__proto__":{"polluted":true}}]}',
    );
    const answer = await post(`${ingress.url}/events`, body, STRUCTURED);
    assert.equal(answer.status, 422);
    assert.match(answer.body.errors?.[0]?.path ?? '', /__proto__$/);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it('data of a hundred thousand levels', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    for (const [from, to] of [
      ['"data":{}', `"data":${deep}`],
      ['"data":{}', `"extension":${deep}`],
    ] as const) {
      const body = JSON.stringify(cloudEvent()).replace(from, to);
      const answer = await post(`${ingress.url}/events`, body, STRUCTURED);
      assert.deepEqual([answer.status, answer.body.code], [422, 'invalid_event']);
    }
  });

  it('a binary event with missing headers and a broken percent-encoding', async () => {
    const answer = await post(`${ingress.url}/events`, '{}', { ...JSON_TYPE, 'ce-id': '%E0%A4' });
    assert.equal(answer.status, 422);
    assert.deepEqual(
      new Set(answer.body.errors?.map(({ path }) => path)),
      new Set(['id', 'source', 'type', 'specversion']),
    );
  });

  for (const [body, headers] of [
    ['[]', STRUCTURED],
    ['"text"', STRUCTURED],
    ['null', STRUCTURED],
    ['{}', BATCH],
  ] as const) {
    it(`the body ${body} as ${headers['content-type']}`, async () => {
      const answer = await post(`${ingress.url}/events`, body, headers);
      assert.equal(answer.status, 422);
      assert.equal(answer.body.code, 'invalid_event');
    });
  }
});
