import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { LIMITS } from '../../src/model/limits.ts';
import { countKept, postEvent, rejections, startTestIngress, type TestIngress } from './support.ts';

describe('What becomes of an event', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

  const deal = (fields: object = {}) => ({
    type: 'deal.stage_changed',
    data: { dealId: 'd-1', stage: 'won', amount: 5_000, currency: 'USD', ...fields },
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

  it('answers a version that is not known with 422', async () => {
    const answer = await postEvent(ingress, { ...deal(), schemaversion: 9 });
    assert.equal(answer.status, 422);
    assert.equal(answer.body.code, 'unknown_version');
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
    it(`holds an event for the flow whose where fails, and for no other (${want})`, async () => {
      const before = await countKept(ingress);
      const answer = await postEvent(ingress, {
        type: 'thing.filtered',
        subject: 'glad',
        data: { want },
      });
      assert.equal(answer.status, 202);
      const [result] = answer.body.results ?? [];
      assert.equal(result?.status, 'accepted');
      assert.deepEqual(
        result?.deliveries.map(({ flow }) => flow),
        ['gladOfAll'],
      );
      assert.deepEqual(result?.held, [{ flow: 'wanted', code: 'filter_failed' }]);
      assert.equal(result?.reason, 'held for wanted: filter_failed');
      const after = await countKept(ingress);
      assert.deepEqual(after, { events: before.events + 1, rejections: before.rejections + 1 });
    });
  }

  it('holds an event that other flows do not want', async () => {
    const id = 'held and filtered';
    const answer = await postEvent(ingress, {
      type: 'thing.filtered',
      data: { want: 'throw' },
      id,
    });
    const [result] = answer.body.results ?? [];
    assert.deepEqual([result?.status, result?.deliveries], ['accepted', []]);
    assert.equal(result?.reason, 'not wanted by gladOfAll; held for wanted: filter_failed');
    const [row] = await ingress.journal.findEvents(undefined, id);
    assert.match(
      row?.held?.[0]?.message ?? '',
      /^where of flow wanted threw: cannot tell\. Mend the/,
    );
  });

  it('holds an event whose key throws', async () => {
    const answer = await postEvent(ingress, { type: 'thing.keyed', data: { key: 'throw' } });
    assert.deepEqual(answer.body.results?.[0]?.held, [{ flow: 'keyed', code: 'filter_failed' }]);
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
      it(`holds the event (${name})`, async () => {
        const id = `key ${name}`;
        const answer = await postEvent(ingress, { type: 'thing.keyed', data: { key }, id });
        assert.equal(answer.status, 202);
        const [result] = answer.body.results ?? [];
        assert.deepEqual([result?.status, result?.deliveries], ['accepted', []]);
        assert.deepEqual(result?.held, [{ flow: 'keyed', code: 'invalid_key' }]);
        const [row] = await ingress.journal.findEvents(undefined, id);
        assert.equal(row?.held?.[0]?.code, 'invalid_key');
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
});
