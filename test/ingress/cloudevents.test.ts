import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { LIMITS } from '../../src/model/limits.ts';
import {
  BATCH,
  cloudEvent,
  countKept,
  JSON_TYPE,
  post,
  postBatch,
  postEvent,
  rejections,
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
      'ce-source': '"quoted \\"source\\""',
      'ce-type': 'thing.seen',
      'ce-subject': 'Gr%C3%BC%C3%9Fe%20%E2%82%AC',
      'ce-hops': '2',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    assert.equal(answer.status, 202);
    const event = await storedEvent(ingress, 'b 1%');
    assert.equal(event.source, 'quoted "source"');
    assert.equal(event.subject, 'Grüße €');
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

  describe('refuses what is not an event with 422 invalid_event, keeps nothing', () => {
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
        { id: '漢'.repeat(500), source: '字'.repeat(500) },
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
        assert.equal(answer.status, 422);
        assert.equal(answer.body.code, 'invalid_event');
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
      '"data":{"a":123456789012345678,"b":-9007199254740993,"c":"123456789012345678","d":1e400,"e":9007199254740991,"f":0.12345678901234567}',
    );
    assert.equal((await post(`${ingress.url}/events`, body, STRUCTURED)).status, 202);
    assert.deepEqual((await storedEvent(ingress, 'big')).data, {
      a: '123456789012345678',
      b: '-9007199254740993',
      c: '123456789012345678',
      d: '1e400',
      e: 9007199254740991,
      f: 0.12345678901234567,
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

  it('answers data that breaks its contract with 422 naming each path, and keeps it', async () => {
    const answer = await postEvent(ingress, {
      type: 'deal.stage_changed',
      id: 'violation',
      data: { dealId: 5, stage: 'won', amount: 'much', currency: 'EUR' },
    });
    assert.equal(answer.status, 422);
    assert.equal(answer.body.code, 'contract_violation');
    assert.deepEqual(
      answer.body.errors?.map(({ path }) => path),
      ['data.dealId', 'data.amount'],
    );
    const kept = (await rejections(ingress)).find(({ id }) => id === 'violation');
    assert.equal(kept?.code, 'contract_violation');
    assert.equal(JSON.parse(kept?.body ?? '').data.amount, 'much');
    assert.deepEqual(await ingress.journal.findEvents(undefined, 'violation'), []);
  });

  it('answers a version that is not known as a broken contract', async () => {
    const answer = await postEvent(ingress, { ...deal(), schemaversion: 9 });
    assert.equal(answer.body.code, 'contract_violation');
  });

  for (const type of ['thing.unheard_of', 'constructor', 'toString']) {
    it(`keeps the unknown type ${type} as a dead letter`, async () => {
      const answer = await postEvent(ingress, { type, id: `unknown ${type}` });
      assert.equal(answer.status, 202);
      assert.equal(answer.body.results?.[0]?.status, 'rejected');
      assert.equal(answer.body.results?.[0]?.reason, 'unknown_type');
      const kept = (await rejections(ingress)).find(({ id }) => id === `unknown ${type}`);
      assert.equal(kept?.code, 'unknown_type');
    });
  }

  it('journals a known type that no flow takes as unrouted', async () => {
    const answer = await postEvent(ingress, { type: 'thing.nobody_wants' });
    assert.equal(answer.body.results?.[0]?.status, 'unrouted');
    assert.deepEqual(answer.body.results?.[0]?.deliveries, []);
  });

  it('journals an event that no flow wants as filtered, naming the flows', async () => {
    const answer = await postEvent(ingress, { type: 'thing.filtered', data: { want: false } });
    assert.equal(answer.body.results?.[0]?.status, 'filtered');
    assert.match(answer.body.results?.[0]?.reason ?? '', /wanted, gladOfAll/);
  });

  it('accepts an event that one of two flows wants, naming the other', async () => {
    const answer = await postEvent(ingress, { type: 'thing.filtered', data: { want: true } });
    assert.equal(answer.body.results?.[0]?.status, 'accepted');
    assert.match(answer.body.results?.[0]?.reason ?? '', /gladOfAll/);
    assert.equal(answer.body.results?.[0]?.deliveries.length, 1);
  });

  for (const want of ['throw', 'promise', 1]) {
    it(`neither takes nor drops an event whose where fails (${want})`, async () => {
      const before = await countKept(ingress);
      const answer = await postEvent(ingress, {
        type: 'thing.filtered',
        subject: 'glad',
        data: { want },
      });
      assert.equal(answer.status, 202);
      assert.equal(answer.body.results?.[0]?.status, 'rejected');
      assert.equal(answer.body.results?.[0]?.reason, 'filter_failed');
      const after = await countKept(ingress);
      assert.deepEqual(after, { events: before.events, rejections: before.rejections + 1 });
    });
  }

  it('neither takes nor drops an event whose key throws', async () => {
    const answer = await postEvent(ingress, { type: 'thing.keyed', data: { key: 'throw' } });
    assert.equal(answer.body.results?.[0]?.reason, 'filter_failed');
  });

  describe('with a hostile key', () => {
    const refused: Readonly<Record<string, unknown>> = {
      'very long': 'k'.repeat(LIMITS.keyBytesMax + 1),
      'very long in bytes': '漢'.repeat(200),
      empty: '',
      'a control character': 'a\u0007b',
      NUL: 'a\u0000b',
      'half a surrogate pair': 'a\udc00',
      'a number': 5,
      'an object': {},
      null: null,
    };
    for (const [name, key] of Object.entries(refused)) {
      it(`answers 422 invalid_key and keeps the event (${name})`, async () => {
        const id = `key ${name}`;
        const answer = await postEvent(ingress, { type: 'thing.keyed', data: { key }, id });
        assert.equal(answer.status, 422);
        assert.equal(answer.body.code, 'invalid_key');
        const kept = (await rejections(ingress)).find((rejection) => rejection.id === id);
        assert.equal(kept?.code, 'invalid_key');
        assert.deepEqual(await ingress.journal.findEvents(undefined, id), []);
      });
    }

    for (const key of ['../../etc/passwd', 'a:b:c', '漢字🦆', '%00', "'; drop table runs", ' ']) {
      it(`takes ${JSON.stringify(key)} as it is`, async () => {
        const answer = await postEvent(ingress, { type: 'thing.keyed', data: { key } });
        assert.equal(answer.status, 202);
        assert.equal(answer.body.results?.[0]?.deliveries[0]?.run, `keyed:default:${key}`);
        const run = await ingress.journal.findRun(`keyed:default:${key}` as never);
        assert.equal(run?.key, key);
      });
    }
  });

  it('ends a story of too many hops as looped, and journals it', async () => {
    const answer = await postEvent(ingress, { id: 'loop', hops: LIMITS.hopsMax + 1 });
    assert.equal(answer.status, 202);
    assert.equal(answer.body.results?.[0]?.status, 'looped');
    const [row] = await ingress.journal.findEvents(undefined, 'loop');
    assert.equal(row?.status, 'looped');
    assert.equal(
      (await postEvent(ingress, { hops: LIMITS.hopsMax })).body.results?.[0]?.status,
      'accepted',
    );
  });

  it('calls an event that comes again a duplicate of the first, and tells the dispatcher once', async () => {
    const first = await postEvent(ingress, { id: 'twice', correlationid: 'story-1' });
    const second = await postEvent(ingress, { id: 'twice', correlationid: 'story-2' });
    assert.equal(second.body.results?.[0]?.status, 'duplicate');
    assert.equal(second.body.results?.[0]?.correlationId, 'story-1');
    assert.deepEqual(second.body.results?.[0]?.deliveries, first.body.results?.[0]?.deliveries);
    assert.equal(ingress.appended.filter(({ event }) => event.id === 'twice').length, 1);
  });

  it('does not take the same id of another source or tenant for a duplicate', async () => {
    const runs = [];
    for (const fields of [{ source: 'a' }, { source: 'b' }, { source: 'a', tenantid: 'acme' }]) {
      const answer = await postEvent(ingress, { id: 'shared', ...fields });
      assert.equal(answer.body.results?.[0]?.status, 'accepted');
      runs.push(answer.body.results?.[0]?.deliveries[0]?.run);
    }
    assert.deepEqual(runs, [
      'seen:default:a/shared',
      'seen:default:b/shared',
      'seen:acme:a/shared',
    ]);
  });

  it('gives each event of an unkeyed flow a run of its own, whatever its id', async () => {
    const ids = ['a/b', 'a%2Fb', 'i'.repeat(512), '漢字'];
    const runs = new Set<string | undefined>();
    for (const [source, id] of [...ids.map((id) => ['s', id]), ['s/a', 'b']]) {
      const answer = await postEvent(ingress, { source, id });
      assert.equal(answer.status, 202);
      runs.add(answer.body.results?.[0]?.deliveries[0]?.run);
    }
    assert.equal(runs.size, 5);
  });

  it('refuses one event whose data is too large with 413', async () => {
    const before = await countKept(ingress);
    const answer = await postEvent(ingress, { data: 'x'.repeat(LIMITS.eventBytesMax) });
    assert.equal(answer.status, 413);
    assert.equal(answer.body.code, 'event_too_large');
    assert.deepEqual(await countKept(ingress), before);
  });

  describe('in a batch', () => {
    it('answers an empty one with no results', async () => {
      const answer = await postBatch(ingress, []);
      assert.equal(answer.status, 202);
      assert.deepEqual(answer.body.results, []);
    });

    it('gives one result for each event, in order', async () => {
      const answer = await postBatch(ingress, [
        cloudEvent({ id: 'batch-1' }),
        cloudEvent({ type: 'thing.unheard_of' }),
        cloudEvent({ type: 'thing.nobody_wants' }),
        cloudEvent({ id: 'batch-1' }),
        cloudEvent({ type: 'deal.stage_changed', data: {} }),
        { no: 'event' },
        'text',
        cloudEvent({ type: 'thing.keyed', data: { key: '' } }),
        cloudEvent({ hops: 11 }),
        cloudEvent({ data: 'x'.repeat(LIMITS.eventBytesMax) }),
        cloudEvent({ id: 'batch-last' }),
      ]);
      assert.equal(answer.status, 202);
      assert.deepEqual(
        answer.body.results?.map(({ status, reason }) => [status, reason]),
        [
          ['accepted', undefined],
          ['rejected', 'unknown_type'],
          ['unrouted', 'no flow takes thing.nobody_wants'],
          ['duplicate', undefined],
          ['rejected', 'contract_violation'],
          ['rejected', 'invalid_event'],
          ['rejected', 'invalid_event'],
          ['rejected', 'invalid_key'],
          ['looped', answer.body.results?.[8]?.reason],
          ['rejected', 'event_too_large'],
          ['accepted', undefined],
        ],
      );
      assert.ok(await storedEvent(ingress, 'batch-last'));
    });

    it('counts a duplicate in it on the first event', async () => {
      await postBatch(
        ingress,
        [1, 2, 3].map(() => cloudEvent({ id: 'thrice' })),
      );
      const rows = await ingress.journal.findEvents(undefined, 'thrice');
      assert.equal(rows.length, 1);
      assert.equal(rows[0]?.duplicates, 2);
    });

    it('keeps something without an id as a dead letter under its hash', async () => {
      const answer = await postBatch(ingress, [{ only: 'this' }]);
      const { id } = answer.body.results?.[0] ?? assert.fail();
      assert.match(id, /^sha256:[\da-f]{64}$/);
      const kept = (await rejections(ingress)).find((rejection) => rejection.id === id);
      assert.equal(kept?.source, 'unknown');
      assert.match(kept?.body ?? '', /only/);
    });

    it('keeps hostile things in it from harming the rest', async () => {
      const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
      const good = JSON.stringify(cloudEvent({ id: 'among-hostile' }));
      const hostile = [
        `{"data":${deep}}`,
        `{"id":${deep}}`,
        '{"__proto__":{"specversion":"1.0"}}',
        `{"a\\u0000\\ud800":{}}`,
        'null',
        '[]',
        deep,
      ];
      const body = `[${[...hostile, good].join(',')}]`;
      const answer = await post(`${ingress.url}/events`, body, BATCH);
      assert.equal(answer.status, 202);
      assert.deepEqual(
        answer.body.results?.map(({ status }) => status),
        [...hostile.map(() => 'rejected'), 'accepted'],
      );
    });

    it('takes as many as the limit, and refuses one more with nothing kept', async () => {
      const many = Array.from({ length: LIMITS.batchEventsMax }, () => cloudEvent());
      const full = await postBatch(ingress, many);
      assert.equal(full.body.results?.length, LIMITS.batchEventsMax);
      const extra = cloudEvent({ id: 'one-too-many' });
      const answer = await postBatch(ingress, [extra, ...many]);
      assert.equal(answer.status, 413);
      assert.equal(answer.body.code, 'batch_too_large');
      assert.deepEqual(await ingress.journal.findEvents(undefined, 'one-too-many'), []);
    });
  });
});
