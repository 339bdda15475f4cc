import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import type { RunId } from '../../src/model/run.ts';
import { onBothDatabases } from './both-databases.ts';
import { ALL_LANES, accepted, event, oneTo, target, unique } from './entries.ts';

const HOLDER = 'the holder';
const REASON = 'Blob data size exceeds limit.';
const ACT = { actor: 'ada', reason: 'the limit was raised' };

onBothDatabases('undeliverable deliveries', (journals) => {
  let journal: Journal;
  before(async () => {
    journal = await journals.fresh();
    await journal.leaseLanes(HOLDER, 600_000);
  });

  async function runWith(count: number) {
    const to = target('digest', unique('key'));
    const events = oneTo(count).map(() => event());
    await journal.append(events.map((each) => accepted(each, to)));
    return { run: to.run, to, events };
  }
  const numbers = async (run: RunId, after = 0) =>
    (await journal.deliveriesAfter(run, after, { count: 100, bytes: 1e9 })).map(
      ({ number }) => number,
    );
  const isPending = async (run: RunId) =>
    (await journal.pendingRuns(ALL_LANES, 10_000)).some((pending) => pending.run === run);
  const setAside = (run: RunId, number: number, holds: boolean, holder = HOLDER) =>
    journal.setAside(holder, { run, number, reason: REASON, holds });
  const letterOf = async (run: RunId) => {
    const { rows } = await journal.listDeadLetters({ limit: 500 }, { kind: 'undeliverable' });
    const letter = rows.find((row) => row.kind === 'undeliverable' && row.run === run);
    return letter?.kind === 'undeliverable' ? letter : undefined;
  };
  const nameOf = async (run: RunId) => {
    const number = Number((await letterOf(run))?.deadLetter.split('-')[1]);
    return { kind: 'undeliverable', number } as const;
  };
  const settle = (run: RunId, through: number) =>
    journal.activities['journal.settle']({
      ...{ run, through },
      workflowRunId: 'execution',
      outcome: 'completed',
    });
  /** The outcome of each delivery, by its number. */
  const outcomes = async (to: ReturnType<typeof target>, ids: readonly string[]) =>
    Promise.all(
      ids.map(async (id) => {
        const [row] = await journal.findEvents(undefined, id);
        return row?.deliveries
          .filter(({ run }) => run === to.run)
          .map(({ state, settlement }) => settlement?.outcome ?? state);
      }),
    );

  it('count the refusals of one delivery, and begin again with another', async () => {
    const { run } = await runWith(2);
    const refusals = [];
    for (const number of [1, 1, 1, 2]) {
      refusals.push(await journal.countRefusal({ run, number, reason: REASON }));
    }
    assert.deepEqual(refusals, [1, 2, 3, 1]);
    assert.equal((await journal.findRun(run))?.dispatchError, REASON);
  });

  it('hold their run, and are in the list of what needs a person', async () => {
    const { run, to, events } = await runWith(3);
    await journal.markSent(HOLDER, [{ run, through: 1 }]);
    await journal.countRefusal({ run, number: 2, reason: REASON });
    assert.equal(await setAside(run, 2, true), true);
    assert.equal(await isPending(run), false);
    assert.equal(await journal.isHeld(run), true);
    assert.deepEqual(await numbers(run, 1), []);
    const [later] = await journal.append([accepted(event(), to)]);
    assert.deepEqual(later?.deliveries[0], { ...to, number: 4, waits: true });
    assert.ok((await journal.findRun(run))?.undeliverableSince);

    const { deadLetter, setAsideAt, ...letter } = (await letterOf(run)) ?? assert.fail();
    assert.match(deadLetter, /^undeliverable-\d+$/);
    assert.ok(Date.parse(setAsideAt) > 0);
    const { id, source, type, correlationid } = events[1] ?? assert.fail();
    assert.deepEqual(letter, {
      kind: 'undeliverable',
      code: 'delivery_refused',
      ...{ run, flow: to.flow, tenant: 'acme', key: to.key, number: 2 },
      event: { id, source, type, correlationid },
      ...{ attempts: 1, reason: REASON, rule: 'hold', held: 2 },
    });
    const found = await journal.redelivery.find(await nameOf(run));
    assert.equal(found?.event?.id, id);
    assert.ok((await journal.countDeadLetters()).undeliverable >= 1);
  });

  it('are sent again in their place by a retry, and what waited after them', async () => {
    const { run } = await runWith(3);
    await setAside(run, 1, true);
    const name = await nameOf(run);
    const again = await journal.redelivery.retryUndeliverable(name.number, undefined, ACT);
    assert.deepEqual(
      again?.map(({ number }) => number),
      [1],
    );
    assert.deepEqual(await numbers(run), [1, 2, 3]);
    assert.equal(await isPending(run), true);
    assert.equal(await letterOf(run), undefined);
    assert.equal(
      await journal.redelivery.retryUndeliverable(name.number, undefined, ACT),
      undefined,
      'once',
    );
  });

  it('are given up by a discard, and what waited after them goes on', async () => {
    const { run, to, events } = await runWith(3);
    await setAside(run, 1, true);
    assert.equal(await journal.redelivery.discard(await nameOf(run), ACT), true);
    assert.deepEqual(await numbers(run), [2, 3]);
    assert.equal(await isPending(run), true);
    await journal.markSent(HOLDER, [{ run, through: 3 }]);
    await settle(run, 3);
    assert.deepEqual(
      await outcomes(
        to,
        events.map(({ id }) => id),
      ),
      [['undeliverable'], ['completed'], ['completed']],
    );
    assert.equal((await journal.findRun(run))?.status, 'settled');
  });

  it('let their run go on where its flow says so, and are never sent to it', async () => {
    const { run } = await runWith(3);
    await journal.markSent(HOLDER, [{ run, through: 1 }]);
    assert.equal(await setAside(run, 2, false), true);
    assert.equal(await isPending(run), true);
    assert.equal((await journal.findRun(run))?.sentThrough, 2);
    assert.deepEqual(await numbers(run, 0), [1, 3], 'whatever a dispatcher remembers');
    const letter = await letterOf(run);
    assert.deepEqual([letter?.rule, letter?.held], ['go-on', 0]);
  });

  it('are accounted for where they are the last of their run, the first, or all of it', async () => {
    for (const [count, aside, settledThrough] of [
      [3, [3], 2],
      [3, [2, 3], 1],
      [3, [1], 3],
      [3, [1, 3], 2],
      [2, [1, 2], undefined],
    ] as const) {
      const { run, to, events } = await runWith(count);
      for (const number of oneTo(count)) {
        if ((aside as readonly number[]).includes(number)) await setAside(run, number, false);
        else await journal.markSent(HOLDER, [{ run, through: number }]);
      }
      if (settledThrough !== undefined) await settle(run, settledThrough);
      const row = await journal.findRun(run);
      const title = `${aside} of ${count}`;
      assert.deepEqual([row?.settledThrough, row?.status], [count, 'settled'], title);
      assert.deepEqual(
        await outcomes(
          to,
          events.map(({ id }) => id),
        ),
        oneTo(count).map((number) => [
          (aside as readonly number[]).includes(number) ? 'undeliverable' : 'completed',
        ]),
        title,
      );
    }
  });

  it('are settled with what comes before them, also when they are set aside first', async () => {
    const { run } = await runWith(4);
    await journal.markSent(HOLDER, [{ run, through: 1 }]);
    await setAside(run, 2, false);
    await setAside(run, 3, false);
    assert.equal((await journal.findRun(run))?.settledThrough, 0);
    await settle(run, 1);
    assert.equal((await journal.findRun(run))?.settledThrough, 3);
    assert.deepEqual(await numbers(run, 3), [4]);
  });

  it('come again under a new number where their run went on', async () => {
    const { run, to, events } = await runWith(2);
    await setAside(run, 1, false);
    await journal.markSent(HOLDER, [{ run, through: 2 }]);
    await settle(run, 2);
    const { number } = await nameOf(run);
    const again = await journal.redelivery.retryUndeliverable(number, undefined, ACT);
    assert.deepEqual(again, [{ run, flow: to.flow, key: to.key, number: 3 }]);
    assert.deepEqual(await numbers(run, 2), [3]);
    assert.deepEqual(await outcomes(to, [events[0]?.id ?? '']), [['undeliverable', 'pending']]);
  });

  it('are not set aside by who has lost the lane, nor after they were sent', async () => {
    const { run } = await runWith(2);
    assert.equal(await setAside(run, 1, true, 'another'), false);
    await journal.markSent(HOLDER, [{ run, through: 1 }]);
    assert.equal(await setAside(run, 1, true), false);
    assert.equal(await letterOf(run), undefined);
  });

  it('are not delivered a second time by the retry of a lost range that they lie in', async () => {
    const { run } = await runWith(3);
    await journal.markSent(HOLDER, [{ run, through: 1 }]);
    await setAside(run, 2, false);
    await journal.markSent(HOLDER, [{ run, through: 3 }]);
    await journal.settleLost(run, 3, 'its workflow was terminated');
    const { rows } = await journal.listDeadLetters({ limit: 500 }, { kind: 'lost' });
    const lost = rows.find((row) => row.kind === 'lost' && row.run === run);
    const number = Number(lost?.deadLetter.split('-')[1]);
    const again = await journal.redelivery.redeliverLost(number, undefined, ACT);
    assert.equal(again?.length, 2);
  });
});
