import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { LIMITS } from '../../src/model/limits.ts';
import {
  BATCH,
  cloudEvent,
  post,
  postBatch,
  rejections,
  startTestIngress,
  storedEvent,
  type TestIngress,
} from './support.ts';

describe('A batch', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startTestIngress();
  });
  after(() => ingress.stop());

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
        ['accepted', 'held for keyed: invalid_key'],
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
