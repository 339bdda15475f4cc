import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { decideAgain } from '../../src/ingress/again.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { TidegateError } from '../../src/model/error.ts';
import {
  BATCH,
  cloudEvent,
  events,
  flows,
  JSON_TYPE,
  post,
  rejections,
  STRUCTURED,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from '../ingress/support.ts';
import { accessWith, type KeyFields, keyIn } from './support.ts';

describe('a credential at the door of /events', () => {
  let journal: Journal;
  let ingress: TestIngress;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    const access = accessWith({ keys: journal.apiKeys, token: 'the-administrators-token' });
    ingress = await startTestIngress({ journal, access });
  });
  after(async () => {
    await ingress?.stop();
    await journal?.close();
  });

  const holder = async (fields: KeyFields = {}) =>
    (await keyIn(journal, { tenant: 'acme', actions: ['events:write'], ...fields })).headers;
  const send = (event: object, headers: object) =>
    post(`${ingress.url}/events`, JSON.stringify(event), { ...STRUCTURED, ...headers });
  const kept = async (): Promise<number> =>
    (await journal.listEvents({}, { limit: 500 })).rows.length + (await rejections(ingress)).length;

  it('must allow events:write', async () => {
    const headers = await holder({ actions: ['operate:read', 'operate:write', 'keys:write'] });
    const before = await kept();
    for (const path of ['/events', '/events/thing.seen']) {
      const answer = await post(`${ingress.url}${path}`, '{}', { ...STRUCTURED, ...headers });
      assert.deepEqual([answer.status, answer.body.code], [403, 'forbidden']);
      assert.equal(
        answer.headers.get('www-authenticate'),
        'Bearer realm="tidegate", error="insufficient_scope", scope="events:write"',
      );
    }
    assert.equal(await kept(), before);
  });

  it('gives its tenant to events in every form, whether they name it or not', async () => {
    const headers = await holder();
    for (const tenantid of [undefined, null, 'acme']) {
      const event = cloudEvent({ tenantid });
      assert.equal((await send(event, headers)).status, 202);
      assert.equal((await storedEvent(ingress, event.id)).tenantid, 'acme');
    }
    const plain = { ...JSON_TYPE, 'idempotency-key': 'plain-of-acme', ...headers };
    await post(`${ingress.url}/events/thing.seen`, '{}', plain);
    assert.equal((await storedEvent(ingress, 'plain-of-acme')).tenantid, 'acme');
    const binary = {
      ...JSON_TYPE,
      'ce-specversion': '1.0',
      'ce-id': 'binary-of-acme',
      'ce-source': 'test',
      'ce-type': 'thing.seen',
      ...headers,
    };
    await post(`${ingress.url}/events`, '{}', binary);
    assert.equal((await storedEvent(ingress, 'binary-of-acme')).tenantid, 'acme');
    const batch = [cloudEvent(), cloudEvent({ tenantid: 'acme' })];
    await post(`${ingress.url}/events`, JSON.stringify(batch), { ...BATCH, ...headers });
    for (const { id } of batch) assert.equal((await storedEvent(ingress, id)).tenantid, 'acme');
  });

  it('lets nobody claim another tenant, in any form or type, and keeps nothing of it', async () => {
    const headers = await holder();
    const before = await kept();
    for (const tenantid of ['globex', 'default', '', '*', 'ACME', 5, true, ['acme'], { a: 1 }]) {
      const answer = await send(cloudEvent({ tenantid }), headers);
      assert.deepEqual(
        [answer.status, answer.body.code, answer.body.errors?.[0]?.path],
        [403, 'tenant_forbidden', 'tenantid'],
        JSON.stringify(tenantid),
      );
    }
    const claim = { ...JSON_TYPE, ...headers, 'ce-tenantid': 'globex' };
    const plain = await post(`${ingress.url}/events/thing.seen`, '{}', claim);
    assert.equal(plain.body.code, 'tenant_forbidden');
    assert.equal(await kept(), before);
  });

  it('refuses the events of a batch that it does not allow, and takes the others', async () => {
    const headers = await holder({ types: ['thing.*'] });
    const [own, other, deal] = [
      cloudEvent(),
      cloudEvent({ tenantid: 'globex' }),
      cloudEvent({ type: 'deal.stage_changed' }),
    ];
    const body = JSON.stringify([own, other, deal]);
    const answer = await post(`${ingress.url}/events`, body, { ...BATCH, ...headers });
    assert.equal(answer.status, 202);
    assert.deepEqual(
      answer.body.results?.map(({ id, status, reason }) => [id, status, reason]),
      [
        [own.id, 'accepted', undefined],
        [other.id, 'rejected', 'tenant_forbidden'],
        [deal.id, 'rejected', 'type_forbidden'],
      ],
    );
    assert.deepEqual(await journal.findEvents(undefined, other.id), []);
    // Kept where the credential is at home, and not where it wanted to write.
    const letters = (await rejections(ingress)).filter(
      ({ id }) => id === other.id || id === deal.id,
    );
    assert.deepEqual(
      letters.map(({ tenant }) => tenant),
      ['acme', 'acme'],
    );
  });

  it('is not got around by retrying what it did not allow', async () => {
    const again = decideAgain({
      journal,
      catalogue: events,
      flows,
      onAppended: () => {},
      now: () => new Date(),
    });
    const refused = (await rejections(ingress)).filter(({ code }) => code.endsWith('_forbidden'));
    assert.equal(refused.length, 2);
    for (const letter of refused) {
      await assert.rejects(again.take(letter), (error: unknown) =>
        TidegateError.is(error, 'not_retriable'),
      );
    }
  });

  it('keeps what is no event under its own tenant too', async () => {
    const headers = await holder();
    const wrong = cloudEvent({ time: 'yesterday' });
    await post(`${ingress.url}/events`, JSON.stringify([wrong, 'x']), { ...BATCH, ...headers });
    const letters = await rejections(ingress);
    const [text] = letters.filter(({ body }) => body.includes('"x"'));
    assert.equal(letters.find(({ id }) => id === wrong.id)?.tenant, 'acme');
    assert.equal(text?.tenant, 'acme');
  });

  it('lets no type in that it does not allow, and keeps nothing of it', async () => {
    const headers = await holder({ types: ['deal.*', 'thing.keyed'] });
    const before = await kept();
    for (const type of ['thing.seen', 'thing.keyed.more', 'deals.won', 'unknown.type']) {
      const answer = await send(cloudEvent({ type }), headers);
      assert.deepEqual([answer.status, answer.body.code], [403, 'type_forbidden'], type);
      const plain = await post(`${ingress.url}/events/${type}`, '{}', { ...JSON_TYPE, ...headers });
      assert.deepEqual([plain.status, plain.body.code], [403, 'type_forbidden'], type);
    }
    assert.equal(await kept(), before);
    const event = cloudEvent({ type: 'thing.keyed', data: { key: 'k' } });
    assert.equal((await send(event, headers)).status, 202);
  });

  it('makes no duplicate of another tenant’s event with the same source and id', async () => {
    const event = cloudEvent();
    for (const tenant of ['acme', 'globex']) {
      const answer = await send(event, await holder({ tenant }));
      assert.equal(answer.body.results?.[0]?.status, 'accepted', tenant);
    }
    assert.equal((await journal.findEvents(undefined, event.id)).length, 2);
  });

  it('of every tenant says which by the event', async () => {
    const token = { authorization: 'Bearer the-administrators-token' };
    for (const [tenantid, tenant] of [
      [undefined, 'default'],
      ['globex', 'globex'],
    ] as const) {
      for (const headers of [token, await holder({ tenant: null })]) {
        const event = cloudEvent({ tenantid });
        assert.equal((await send(event, headers)).status, 202);
        assert.equal((await storedEvent(ingress, event.id)).tenantid, tenant);
      }
    }
  });
});
