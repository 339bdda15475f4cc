import assert from 'node:assert/strict';
import type { Journal } from '../../src/journal/journal.ts';
import { onBothDatabases } from './both-databases.ts';
import { accepted, event, freshRun, oneTo, target } from './entries.ts';

onBothDatabases('what waits in the journal', ({ fresh }) => {
  let journal: Journal;
  beforeEach(async () => {
    journal = await fresh();
  });

  it('is nothing at first', async () => {
    assert.deepEqual(await journal.backlog(), { runs: 0, deliveries: 0, oldestAgeMs: 0 });
    const letters = Object.values(await journal.countDeadLetters());
    assert.ok(letters.length > 0 && letters.every((count) => count === 0));
  });

  it('is each delivery that could be sent and was not', async () => {
    const [one, other] = [freshRun(), freshRun()];
    await journal.append([one.entry(), one.entry(), one.entry(), other.entry()]);
    const before = await journal.backlog();
    assert.deepEqual([before.runs, before.deliveries], [2, 4]);
    assert.ok(before.oldestAgeMs >= 0);

    await journal.leaseLanes('holder', 60_000);
    await journal.markSent('holder', [{ run: one.run, through: 2 }]);
    assert.equal((await journal.backlog()).deliveries, 2);
    await journal.activities['journal.open']({
      run: other.run,
      workflowRunId: 'w',
      firstNumber: 1,
    });
    await journal.activities['journal.hold']({ run: other.run, held: true });
    const after = await journal.backlog();
    assert.deepEqual([after.runs, after.deliveries], [1, 1], 'a full inbox waits for itself');
  });

  it('is never too low where there are more runs than are counted', async function () {
    this.timeout(120_000);
    const runs = 10_400;
    const entries = oneTo(runs).map((key) => accepted(event(), target('digest', `key-${key}`)));
    for (let from = 0; from < runs; from += 500) {
      await journal.append(entries.slice(from, from + 500));
    }
    const { runs: counted, deliveries } = await journal.backlog();
    assert.equal(counted, 10_000);
    assert.ok(deliveries >= runs, `${deliveries} of ${runs}`);
    // The commit in which the last run counted came is all that may count twice.
    assert.ok(deliveries <= runs + 500, `${deliveries} of ${runs}`);
  });

  it('is each dead letter that is open', async () => {
    const [lost, rejectedId] = [freshRun(), 'refused'];
    await journal.append([lost.entry()]);
    await journal.settleLost(lost.run, 1, 'gone');
    const rejection = {
      tenant: 'acme',
      source: 'crm',
      code: 'unknown_type',
      message: 'x',
      body: '{}',
    };
    await journal.reject([
      { ...rejection, id: rejectedId },
      { ...rejection, id: 'other' },
    ]);
    const { rejected, parked, lost: gone } = await journal.countDeadLetters();
    assert.deepEqual({ rejected, parked, lost: gone }, { rejected: 2, parked: 0, lost: 1 });
  });
});
