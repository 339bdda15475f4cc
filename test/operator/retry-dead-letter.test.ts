import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { AuditRow } from '../../src/journal/audit-log.ts';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { EventRow, Paged } from '../../src/journal/rows.ts';
import type { FlowHead } from '../../src/model/flow-registry.ts';
import type { RetryResult } from '../../src/operator/retry-dead-letter.ts';
import { keyIn } from '../access/support.ts';
import { type FrontDoor, openFrontDoor } from './fixtures/changing-flows.ts';
import { assertProblem } from './fixtures/server.ts';

const on = ['thing.seen'];
const broken: FlowHead = {
  on,
  where: () => {
    throw new Error('no such field');
  },
};
const reason = { reason: 'mended in build 7' };

describe('retrying and discarding dead letters', () => {
  let door: FrontDoor;
  before(async function () {
    this.timeout(60_000);
    door = await openFrontDoor();
  });
  after(() => door?.stop());

  const letters = async (query = '') => {
    const { body } = await door.server.call<Paged<DeadLetter>>(`/dead-letters?limit=500${query}`);
    return body.rows;
  };
  const post = <Body = RetryResult>(path: string, body: unknown = reason, actor = 'ada') =>
    door.server.call<Body>(path, { body, headers: { 'x-actor': actor } });
  const retry = (letter: DeadLetter | undefined) =>
    post(`/dead-letters/${letter?.deadLetter}/retry`);
  const eventOf = async (id: string) =>
    (await door.server.call<Paged<EventRow>>(`/events/${id}`)).body.rows[0];

  /** Sends an event that two flows take, of which one cannot decide. */
  async function held(head: FlowHead = broken) {
    const id = randomUUID();
    door.restart({ flows: { whole: { on }, digest: head } });
    const result = await door.send({ id }, {});
    const letter = (await letters('&kind=held')).find(
      (each) => each.kind === 'held' && each.event.id === id,
    );
    assert.ok(letter !== undefined);
    return { id, result, letter };
  }

  it('delivers at once to the flows that could decide, and later to the one that is mended', async () => {
    const { id, result, letter } = await held();
    assert.equal(result.status, 'accepted');
    assert.deepEqual(
      result.deliveries.map(({ flow }) => flow),
      ['whole'],
    );
    const again = await retry(letter);
    assert.equal(again.body.outcome, 'held');
    assert.equal(again.body.closed, false);
    assert.equal(again.body.code, 'filter_failed');

    door.restart({ flows: { whole: { on }, digest: { on, key: () => 'k' } } });
    const { status, body } = await retry(letter);
    assert.equal(status, 200);
    assert.deepEqual([body.closed, body.outcome], [true, 'delivered']);
    assert.deepEqual(
      body.deliveries.map(({ run }) => run),
      ['digest:default:k'],
    );
    const row = await eventOf(id);
    assert.deepEqual(row?.deliveries.map(({ flow }) => flow).sort(), ['digest', 'whole']);
    assert.deepEqual(
      row?.held?.map(({ attempts, closed }) => [attempts, closed?.how, closed?.by]),
      [[2, 'delivered', 'ada']],
    );
    assertProblem((await retry(letter)) as never, 409, 'dead_letter_closed');
    assert.equal((await eventOf(id))?.deliveries.length, 2);
  });

  it('filters what the mended flow does not want, or does not take any more', async () => {
    for (const head of [{ on, where: () => false }, { on: ['thing.other'] }]) {
      const { id, letter } = await held();
      door.restart({ flows: { whole: { on }, digest: head } });
      assert.equal((await retry(letter)).body.outcome, 'filtered');
      assert.equal((await eventOf(id))?.deliveries.length, 1);
    }
  });

  it('holds on to what is of a flow that is gone', async () => {
    const { letter } = await held();
    door.restart({ flows: { whole: { on } } });
    const { body } = await retry(letter);
    assert.deepEqual([body.closed, body.outcome, body.code], [false, 'held', 'unknown_flow']);
  });

  it('takes a rejected event once its contract is there, under its own identity', async () => {
    const id = randomUUID();
    door.restart({ flows: { late: { on: ['thing.late'] } } });
    const attributes = { id, type: 'thing.late', tenantid: 'acme', subject: 's-1' };
    assert.equal((await door.send(attributes, { n: 1 })).status, 'rejected');
    const letter = (await letters('&kind=rejected&tenant=acme')).find(
      (each) => each.kind === 'rejected' && each.id === id,
    );
    const still = await retry(letter);
    assert.deepEqual([still.body.outcome, still.body.closed], ['rejected', false]);
    assert.equal(still.body.code, 'unknown_type');

    door.restart({
      contracts: { 'thing.seen': z.unknown(), 'thing.late': z.object({ n: z.number() }) },
    });
    const { body } = await retry(letter);
    assert.deepEqual([body.outcome, body.closed, body.deliveries.length], ['accepted', true, 1]);
    const row = await eventOf(id);
    assert.deepEqual(
      [row?.event.tenantid, row?.event.subject, row?.event.data],
      ['acme', 's-1', { n: 1 }],
    );
    assertProblem((await retry(letter)) as never, 409, 'dead_letter_closed');
    assert.equal((await eventOf(id))?.duplicates, 0);
    const { rows } = await door.journal.audit.list({ target: letter?.deadLetter ?? '' }, {});
    assert.deepEqual(
      rows.map(({ actor, action, tenant, reason: why }) => [actor, action, tenant, why]),
      [1, 2].map(() => ['ada', 'dead_letter.retry', 'acme', reason.reason]),
    );
  });

  it('says so when what was kept is not an event, or not one that its sender may send', async () => {
    const source = randomUUID();
    await door.journal.reject(
      [
        { body: '{"truncated":true,"requestBytes":9}', code: 'event_too_large' },
        { body: 'no json', code: 'source_mapping_failed' },
        { body: '[1]', code: 'invalid_event' },
        // Whose sender spoke for another tenant, or sent what the credential does not allow.
        {
          body: '{"specversion":"1.0","type":"thing.seen","tenantid":"acme"}',
          code: 'unknown_type',
        },
        { body: '{"specversion":"1.0","type":"thing.seen"}', code: 'type_forbidden' },
      ].map((each, index) => ({
        tenant: 'default',
        source,
        id: `n-${index}`,
        message: 'no',
        ...each,
      })),
    );
    const found = (await letters('&kind=rejected')).filter(
      (each) => each.kind === 'rejected' && each.source === source,
    );
    assert.equal(found.length, 5);
    for (const letter of found) assertProblem((await retry(letter)) as never, 409, 'not_retriable');
  });

  it('delivers what was lost again, once', async () => {
    const { journal } = door;
    door.restart({ flows: { digest: { on, key: () => 'lost' } } });
    const ids = [randomUUID(), randomUUID()];
    for (const id of ids) await door.send({ id }, {});
    const run = 'digest:default:lost' as never;
    await journal.settleLost(run, 2, 'terminated');
    const [letter] = await letters('&kind=lost&flow=digest');
    const { body } = await retry(letter);
    assert.deepEqual([body.outcome, body.closed], ['delivered', true]);
    assertProblem((await retry(letter)) as never, 409, 'dead_letter_closed');
    const sent = await journal.deliveriesAfter(run, 2, { count: 9, bytes: 100_000 });
    assert.deepEqual(
      sent.map(({ number, event }) => [number, event.id]),
      [
        [3, ids[0]],
        [4, ids[1]],
      ],
    );
  });

  it('closes a dead letter for good, and does not discard a run that waits', async () => {
    const { letter } = await held();
    const discard = (name: string | undefined) => post(`/dead-letters/${name}/discard`);
    assert.deepEqual((await discard(letter.deadLetter)).body, {
      deadLetter: letter.deadLetter,
      closed: true,
      outcome: 'discarded',
    });
    assertProblem((await discard(letter.deadLetter)) as never, 409, 'dead_letter_closed');
    assertProblem((await retry(letter)) as never, 409, 'dead_letter_closed');

    door.restart({ flows: { asks: { on, key: () => 'parked' } } });
    await door.send({ id: randomUUID() }, {});
    const run = 'asks:default:parked' as never;
    await door.journal.activities['journal.park']({
      run,
      workflowRunId: 'w',
      parkId: 'p',
      step: 'crm.getDeal#1',
      errorClass: 'persistent',
      reason: 'no access',
    });
    const [parked] = await letters('&kind=parked&flow=asks');
    assertProblem((await discard(parked?.deadLetter)) as never, 409, 'decision_needed');
  });

  it('refuses what names no dead letter, no reason, or something else', async () => {
    for (const name of ['held-999999', 'held-x', 'kept-1', 'held-', 'rejected-99999999999999999']) {
      assertProblem(
        (await post(`/dead-letters/${name}/retry`)) as never,
        404,
        'dead_letter_not_found',
      );
    }
    const { letter } = await held();
    for (const body of [{}, { reason: ' ' }, { reason: 'x', force: true }, { reason: 'a\0' }]) {
      const answer = await post(`/dead-letters/${letter.deadLetter}/retry`, body);
      assertProblem(answer as never, 422, 'request_invalid');
    }
    assertProblem(
      (await door.server.call('/dead-letters?kind=odd')) as never,
      400,
      'query_invalid',
    );
  });

  it('is for people of its tenant, and for those who may write, under their own name', async () => {
    const { id, letter } = await held();
    const actions = ['operate:read', 'operate:write'] as const;
    const other = await keyIn(door.journal, { name: 'eve', tenant: 'acme', actions });
    const reader = await keyIn(door.journal, { name: 'rita', actions: ['operate:read'] });
    const own = await keyIn(door.journal, { name: 'kim', tenant: 'default', actions });
    const discard = ({ headers }: typeof own, more: Readonly<Record<string, string>> = {}) =>
      door.server.call(`/dead-letters/${letter.deadLetter}/discard`, {
        body: reason,
        headers: { ...headers, ...more },
      });
    assertProblem(await discard(other), 404, 'dead_letter_not_found');
    assertProblem(await discard(reader), 403, 'forbidden');
    assertProblem(await discard(own, { 'x-actor': 'ada' }), 422, 'request_invalid');
    const deliver = await door.server.call(`/events/${id}/deliver`, {
      body: { flows: ['digest'], ...reason },
      headers: other.headers,
    });
    assertProblem(deliver, 404, 'event_not_found');
    assert.equal((await discard(own)).status, 200);
    const { rows } = await door.journal.audit.list({ target: letter.deadLetter }, {});
    assert.deepEqual(
      rows.map(({ actor, action }) => [actor, action]),
      [['kim', 'dead_letter.discard']],
    );
  });

  describe('sending an event through by hand', () => {
    const deliver = (id: string, flows: unknown, query = '') =>
      post<{ deliveries: readonly { run: string; number: number }[]; already: readonly string[] }>(
        `/events/${id}/deliver${query}`,
        { flows, ...reason },
      );

    it('delivers what was filtered, unrouted or looped, and once', async () => {
      const stories = [
        { status: 'filtered', flows: { digest: { on, where: () => false } }, attributes: {} },
        { status: 'unrouted', flows: {}, attributes: {} },
        { status: 'looped', flows: { digest: { on } }, attributes: { hops: 11 } },
      ];
      for (const { status, flows, attributes } of stories) {
        const id = randomUUID();
        door.restart({ flows });
        assert.equal((await door.send({ id, ...attributes }, {})).status, status);
        door.restart({ flows: { digest: { on, where: () => false, key: () => id } } });
        const first = await deliver(id, ['digest', 'digest']);
        assert.equal(first.status, 200, JSON.stringify(first.body));
        assert.deepEqual(
          [first.body.deliveries.map(({ run, number }) => [run, number]), first.body.already],
          [[[`digest:default:${id}`, 1]], []],
        );
        assert.deepEqual((await deliver(id, ['digest'])).body, {
          deliveries: [],
          already: ['digest'],
        });
        const row = await eventOf(id);
        assert.deepEqual([row?.status, row?.deliveries.length], [status, 1]);
      }
    });

    it('says which flow it cannot be', async () => {
      const id = randomUUID();
      door.restart({ flows: { digest: { on, key: () => '' }, other: { on: ['thing.other'] } } });
      await door.send({ id }, {});
      assertProblem((await deliver(id, ['nobody'])) as never, 422, 'unknown_flow');
      assertProblem((await deliver(id, ['other'])) as never, 422, 'unknown_flow');
      assertProblem((await deliver(id, ['digest'])) as never, 422, 'invalid_key');
      assertProblem((await deliver(id, [])) as never, 422, 'request_invalid');
      assertProblem((await deliver('nothing', ['digest'])) as never, 404, 'event_not_found');
    });

    it('asks which event is meant when several sources have the id', async () => {
      const id = randomUUID();
      door.restart({ flows: { digest: { on } } });
      for (const source of ['crm', 'erp']) await door.send({ id, source, hops: 11 }, {});
      assertProblem((await deliver(id, ['digest'])) as never, 400, 'query_invalid');
      const { body } = await deliver(id, ['digest'], '?source=erp');
      assert.deepEqual(
        body.deliveries.map(({ run }) => run),
        [`digest:default:erp/${id}`],
      );
    });

    it('is in the audit, with who, why and which flows, and none of the data', async () => {
      const id = randomUUID();
      door.restart({ flows: { digest: { on, where: () => false } } });
      await door.send({ id }, { secret: 'sesame' });
      await deliver(id, ['digest']);
      await deliver(id, ['digest']);
      const { body } = await door.server.call<Paged<AuditRow>>(
        `/audit?target=${encodeURIComponent(`test/${id}`)}&actor=ada&action=event.deliver&tenant=default`,
      );
      assert.equal(body.rows.length, 1);
      assert.deepEqual(body.rows[0]?.details, { flows: ['digest'] });
      assert.ok(!JSON.stringify(body).includes('sesame'));
    });
  });
});
