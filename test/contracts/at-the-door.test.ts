import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'mocha';
import { defineEvents } from 'tidegate/contracts';
import { bindSources, defineSource, hmacSignature } from 'tidegate/ingress';
import { z } from 'zod';
import { countOldSenders } from '../../src/contracts/old-senders.ts';
import { emitActivities } from '../../src/ingress/emit.ts';
import type { OldSenders } from '../../src/model/contract.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import {
  countKept,
  JSON_TYPE,
  post,
  postBatch,
  postEvent,
  rejections,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from '../ingress/support.ts';

const SINCE = '2026-01-01T00:00:00Z';
const SUNSET = '2026-07-01T00:00:00Z';
const LATER = '2027-01-01T00:00:00Z';

const catalogue = defineEvents({
  'invoice.paid': {
    version: 3,
    data: z.object({ invoiceId: z.string(), cents: z.int(), currency: z.string() }),
    versions: { 2: z.object({ invoiceId: z.string(), amount: z.number(), currency: z.string() }) },
    upcast: {
      1: (old) => ({ ...old, currency: 'EUR' }),
      2: ({ amount, ...old }) => {
        if (amount === 13) throw new Error('nobody pays 13');
        return { ...old, cents: Number(amount) * 100 };
      },
    },
    deprecated: {
      1: { since: SINCE, sunset: SUNSET, refuseAfterSunset: true, link: 'https://acme.example/v3' },
      2: { since: '2026-03-01', sunset: LATER },
    },
  },
  'thing.gone': {
    version: 1,
    data: z.object({}),
    deprecated: { 1: { since: SINCE, sunset: LATER, link: 'https://acme.example/gone' } },
  },
  'thing.kept': z.object({ mail: z.string() }),
  'lead.moved': {
    version: 2,
    data: z.object({ leadId: z.string(), stage: z.string() }),
    versions: { 1: z.object({ leadId: z.string() }) },
    upcast: { 1: (old) => ({ ...old, stage: 'new' }) },
    unversioned: 1,
    deprecated: { 1: { since: SINCE, sunset: SUNSET } },
  },
});

const FORMS_SECRET = 'secret-of-the-forms';
const forms = defineSource({
  name: 'forms',
  verify: hmacSignature({ header: 'x-forms-signature', encoding: 'hex' }),
  toEvents: ({ payload }) => [{ type: 'lead.moved', data: payload }],
});

describe('Old versions at the door', () => {
  let ingress: TestIngress;
  let now: Date;
  let oldSenders: OldSenders;
  before(async () => {
    ingress = await startTestIngress({
      catalogue,
      sources: bindSources([forms], { TIDEGATE_SOURCE_FORMS_SECRET: FORMS_SECRET }),
      now: () => now,
      oldSenders: {
        note: (event, atMs) => oldSenders.note(event, atMs),
        list: () => oldSenders.list(),
        unlistedCount: () => oldSenders.unlistedCount(),
      },
    });
  });
  beforeEach(() => {
    now = new Date('2026-05-05T05:05:05Z');
    oldSenders = countOldSenders();
  });
  after(() => ingress.stop());

  const paid = (schemaversion: number | undefined, data: object, fields: object = {}) => ({
    type: 'invoice.paid',
    data,
    ...(schemaversion === undefined ? {} : { schemaversion }),
    ...fields,
  });
  const V1 = { invoiceId: 'i-1', amount: 2 };
  const V2 = { ...V1, currency: 'USD' };
  const V3 = { invoiceId: 'i-1', cents: 200, currency: 'USD' };

  it('are brought to the current one and stored with the fields that nobody names', async () => {
    const answer = await postEvent(ingress, paid(1, { ...V1, note: ['n'] }, { id: 'old' }));
    assert.equal(answer.status, 202);
    const event = await storedEvent(ingress, 'old');
    assert.equal(event.schemaversion, 3);
    assert.deepEqual(event.data, { invoiceId: 'i-1', cents: 200, currency: 'EUR', note: ['n'] });
  });

  it('are answered with the dates of their end, a link and a warning', async () => {
    const { headers, body } = await postEvent(ingress, paid(1, V1));
    assert.equal(headers.get('deprecation'), `@${Date.parse(SINCE) / 1_000}`);
    assert.equal(headers.get('sunset'), 'Wed, 01 Jul 2026 00:00:00 GMT');
    assert.equal(headers.get('link'), '<https://acme.example/v3>; rel="deprecation"');
    assert.match(body.results?.[0]?.warning ?? '', /invoice\.paid version 1 .* send version 3/);
  });

  it('say nothing of an end to who sends the current version, whether or not it is named', async () => {
    for (const version of [3, undefined]) {
      const { status, headers, body } = await postEvent(ingress, paid(version, V3));
      assert.equal(status, 202);
      for (const name of ['deprecation', 'sunset', 'link']) assert.equal(headers.get(name), null);
      assert.equal(body.results?.[0]?.warning, undefined);
    }
  });

  it('are what senders that name no version send, where the contract says so', async () => {
    const lead = (id: string, data: object, fields: object = {}) =>
      postEvent(ingress, { type: 'lead.moved', id, data, source: 'forms', ...fields });
    const first = await lead('unversioned', { leadId: 'l-1' });
    assert.equal(first.status, 202);
    assert.equal(first.headers.get('sunset'), new Date(SUNSET).toUTCString());
    assert.deepEqual((await storedEvent(ingress, 'unversioned')).data, {
      leadId: 'l-1',
      stage: 'new',
    });
    assert.equal(oldSenders.list()[0]?.source, 'forms');
    const second = await lead('versioned', { leadId: 'l-1' }, { schemaversion: 2 });
    assert.deepEqual(
      second.body.errors?.map(({ path }) => path),
      ['data.stage'],
    );
  });

  it('are not what a source maps: it knows the current version', async () => {
    const body = JSON.stringify({ leadId: 'l-3', stage: 'lost' });
    const signature = createHmac('sha256', FORMS_SECRET).update(body).digest('hex');
    const answer = await post(`${ingress.url}/hooks/forms`, body, {
      ...JSON_TYPE,
      'x-forms-signature': signature,
    });
    assert.equal(answer.headers.get('sunset'), null);
    assert.equal(answer.body.results?.[0]?.status, 'unrouted', JSON.stringify(answer.body));
    const id = answer.body.results?.[0]?.id ?? '';
    assert.deepEqual((await storedEvent(ingress, id)).data, JSON.parse(body));
  });

  it('are not what a flow emits: it knows the current version', async () => {
    const emit = emitActivities({
      journal: ingress.journal,
      catalogue,
      flows: flowRegistry({}),
      onAppended: () => {},
      now: () => now,
    });
    const { id } = await emit['tidegate.emit']({
      identity: 'run/1/emit#1',
      step: 'emit#1',
      event: {
        type: 'lead.moved',
        source: 'tidegate:test',
        time: now.toISOString(),
        tenantid: 'default',
        correlationid: 'c',
        origin: 'tidegate:test',
        hops: 1,
        data: { leadId: 'l-2', stage: 'won' },
      },
    });
    assert.deepEqual((await storedEvent(ingress, id)).data, { leadId: 'l-2', stage: 'won' });
  });

  it('of a batch are answered with the earliest end, and a warning where it belongs', async () => {
    const { headers, body } = await postBatch(ingress, [
      cloud('b-1', paid(3, V3)),
      cloud('b-2', paid(2, V2)),
      cloud('b-3', paid(1, V1)),
      cloud('b-4', { type: 'thing.gone', data: {} }),
      { id: 'b-5' },
    ]);
    assert.equal(headers.get('sunset'), new Date(SUNSET).toUTCString());
    assert.equal(headers.get('deprecation'), `@${Date.parse(SINCE) / 1_000}`);
    assert.equal(
      headers.get('link'),
      '<https://acme.example/v3>; rel="deprecation", <https://acme.example/gone>; rel="deprecation"',
    );
    assert.deepEqual(
      body.results?.map(({ warning }) => warning?.split(' is ')[0]),
      [
        undefined,
        'invoice.paid version 2',
        'invoice.paid version 1',
        'thing.gone version 1',
        undefined,
      ],
    );
  });

  it('tell their end with a refusal too', async () => {
    const { status, headers } = await postEvent(ingress, paid(2, { invoiceId: 5 }));
    assert.equal(status, 422);
    assert.equal(headers.get('sunset'), new Date(LATER).toUTCString());
  });

  it('are still taken after their sunset', async () => {
    now = new Date('2027-02-01T00:00:00Z');
    assert.equal((await postEvent(ingress, paid(2, V2))).body.results?.[0]?.status, 'unrouted');
  });

  it('are refused and kept from the instant of their sunset where the contract says so', async () => {
    now = new Date(Date.parse(SUNSET) - 1);
    assert.equal((await postEvent(ingress, paid(1, V1))).status, 202);
    now = new Date(SUNSET);
    const answer = await postEvent(ingress, paid(1, V1, { id: 'retired' }));
    assert.equal(answer.status, 422);
    assert.equal(answer.body.code, 'version_retired');
    assert.match(answer.body.detail ?? '', /send version 3/);
    assert.deepEqual(answer.body.errors, [{ path: 'schemaversion', message: 'must be 3' }]);
    const kept = (await rejections(ingress)).find(({ id }) => id === 'retired');
    assert.equal(kept?.code, 'version_retired');
    assert.deepEqual(JSON.parse(kept?.body ?? '').data, V1);
  });

  it('that do not exist yet are refused and kept, saying which do', async () => {
    const answer = await postEvent(ingress, paid(4, V3, { id: 'newer' }));
    assert.equal(answer.status, 422);
    assert.equal(answer.body.code, 'unknown_version');
    assert.match(answer.body.detail ?? '', /version 4 is not known; versions 1 to 3 are taken/);
    assert.deepEqual(
      answer.body.errors?.map(({ path }) => path),
      ['schemaversion'],
    );
    const kept = (await rejections(ingress)).find(({ id }) => id === 'newer');
    assert.equal(kept?.code, 'unknown_version');
  });

  it('whose upcast fails are our fault: 202, kept as it came, and the sender is told no details', async () => {
    const before = await countKept(ingress);
    const answer = await postEvent(ingress, paid(2, { ...V2, amount: 13 }, { id: 'ours' }));
    assert.equal(answer.status, 202);
    const [result] = answer.body.results ?? [];
    assert.equal(result?.status, 'rejected');
    assert.equal(result?.reason, 'upcast_failed');
    assert.doesNotMatch(JSON.stringify(answer.body), /nobody pays/);
    const after = await countKept(ingress);
    assert.deepEqual(after, { events: before.events, rejections: before.rejections + 1 });
    const kept = (await rejections(ingress)).find(({ id }) => id === 'ours');
    assert.equal(kept?.code, 'upcast_failed');
    assert.match(kept?.message ?? '', /nobody pays 13.*Mend the upcast/);
    assert.deepEqual(JSON.parse(kept?.body ?? '').data, { ...V2, amount: 13 });
  });

  it('are counted by source, type and version, also when their data is refused', async () => {
    await postEvent(ingress, paid(1, V1, { source: 'erp' }));
    await postEvent(ingress, paid(1, { no: 'amount' }, { source: 'erp' }));
    await postEvent(ingress, paid(2, V2, { source: 'erp' }));
    await postEvent(ingress, paid(3, V3, { source: 'erp' }));
    await postEvent(ingress, paid(9, V3, { source: 'erp' }));
    await postEvent(ingress, { type: 'thing.gone', data: {}, source: 'shop' });
    await postEvent(ingress, { type: 'thing.kept', data: { mail: 'm' }, source: 'shop' });
    const lastAt = now.toISOString();
    assert.deepEqual(oldSenders.list(), [
      { source: 'erp', type: 'invoice.paid', version: 1, count: 2, lastAt },
      { source: 'erp', type: 'invoice.paid', version: 2, count: 1, lastAt },
      { source: 'shop', type: 'thing.gone', version: 1, count: 1, lastAt },
    ]);
  });
});

describe('The count of old senders', () => {
  it('is bounded: the rest is counted together, and who is known already goes on', () => {
    const senders = countOldSenders();
    const note = (source: string) => senders.note({ source, type: 't', version: 1 }, 0);
    for (let n = 0; n < LIMITS.oldSendersMax + 5; n += 1) note(`source ${n}`);
    note('source 0');
    assert.equal(senders.list().length, LIMITS.oldSendersMax);
    assert.equal(senders.unlistedCount(), 5);
    assert.deepEqual(senders.list()[0]?.count, 2);
  });

  it('does not take two senders for one because their names run together', () => {
    const senders = countOldSenders();
    senders.note({ source: 'a b', type: 'c', version: 1 }, 0);
    senders.note({ source: 'a', type: 'b c', version: 1 }, 0);
    assert.equal(senders.list().length, 2);
  });
});

const cloud = (id: string, fields: object) => ({
  specversion: '1.0',
  id,
  source: 'batch',
  ...fields,
});
