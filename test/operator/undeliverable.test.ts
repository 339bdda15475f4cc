import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { AuditRow } from '../../src/journal/audit-log.ts';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { EventRow, Paged, RunRow } from '../../src/journal/rows.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import type { RetryResult } from '../../src/operator/retry-dead-letter.ts';
import { type FrontDoor, openFrontDoor } from './fixtures/changing-flows.ts';
import { assertProblem } from './fixtures/server.ts';

const HOLDER = 'the dispatcher';
const REASON = 'Blob data size exceeds limit.';

describe('undeliverable deliveries, for operators', () => {
  let door: FrontDoor;
  before(async function () {
    this.timeout(60_000);
    door = await openFrontDoor();
    await door.journal.leaseLanes(HOLDER, 600_000);
  });
  after(() => door?.stop());

  /** A run with so many events, of which one is set aside. */
  async function setAside(key: string, count: number, number: number, holds: boolean) {
    door.restart({ flows: { digest: { on: ['thing.seen'], key: () => key } } });
    const ids = Array.from({ length: count }, () => randomUUID());
    for (const id of ids) await door.send({ id }, {});
    const run = makeRunId({ flow: 'digest', tenant: 'default', key });
    await door.journal.setAside(HOLDER, { run, number, reason: REASON, holds });
    const { body } = await door.server.call<Paged<DeadLetter>>('/dead-letters?kind=undeliverable');
    const letter = body.rows.find((row) => row.kind === 'undeliverable' && row.run === run);
    assert.ok(letter?.kind === 'undeliverable');
    return { run, ids, letter };
  }
  const post = <Body = RetryResult>({ deadLetter }: DeadLetter, act: 'retry' | 'discard') =>
    door.server.call<Body>(`/dead-letters/${deadLetter}/${act}`, {
      body: { reason: 'the limit was raised' },
      headers: { 'x-actor': 'ada' },
    });
  const row = async (run: RunId) =>
    (await door.server.call<RunRow>(`/runs/${encodeURIComponent(run)}`)).body;
  const numbers = async (run: RunId) =>
    (await door.journal.deliveriesAfter(run, 0, { count: 9, bytes: 100_000 })).map(
      ({ number }) => number,
    );

  it('name the event, the run and what Temporal says, and hold what comes after', async () => {
    const { run, ids, letter } = await setAside('shown', 3, 1, true);
    assert.deepEqual(
      [letter.code, letter.event.id, letter.reason, letter.rule, letter.held],
      ['delivery_refused', ids[0], REASON, 'hold', 2],
    );
    const { undeliverableSince, dispatchError, status } = await row(run);
    assert.ok(undeliverableSince !== undefined);
    assert.deepEqual([dispatchError, status], [REASON, 'open']);
    assert.deepEqual(await numbers(run), []);
  });

  it('are sent again in their place by a retry, once, and the audit has it', async () => {
    const { run, letter } = await setAside('retried', 2, 1, true);
    const { body } = await post(letter, 'retry');
    assert.deepEqual(body, {
      deadLetter: letter.deadLetter,
      ...{ closed: true, outcome: 'delivered' },
      deliveries: [{ run, flow: 'digest', key: 'retried', number: 1 }],
    });
    assert.deepEqual(await numbers(run), [1, 2]);
    assert.equal((await row(run)).undeliverableSince, undefined);
    assertProblem((await post(letter, 'retry')) as never, 409, 'dead_letter_closed');
    const { body: audit } = await door.server.call<Paged<AuditRow>>(
      `/audit?target=${letter.deadLetter}`,
    );
    assert.deepEqual(
      audit.rows.map(({ action, actor }) => [action, actor]),
      [['dead_letter.retry', 'ada']],
    );
  });

  it('are given up by a discard, and what waited goes on', async () => {
    const { run, ids, letter } = await setAside('discarded', 2, 1, true);
    const { body } = await post<{ outcome: string }>(letter, 'discard');
    assert.equal(body.outcome, 'discarded');
    assert.deepEqual(await numbers(run), [2]);
    const { body: events } = await door.server.call<Paged<EventRow>>(`/events/${ids[0]}`);
    assert.equal(events.rows[0]?.deliveries[0]?.settlement?.outcome, 'undeliverable');
    assertProblem((await post(letter, 'retry')) as never, 409, 'dead_letter_closed');
  });

  it('come again behind what was sent without them', async () => {
    const { run, letter } = await setAside('went-on', 2, 1, false);
    assert.deepEqual([letter.rule, letter.held], ['go-on', 0]);
    const { body } = await post(letter, 'retry');
    assert.deepEqual(
      body.deliveries.map((delivery) => (delivery as { number?: number }).number),
      [3],
    );
    assert.deepEqual(await numbers(run), [2, 3]);
  });
});
