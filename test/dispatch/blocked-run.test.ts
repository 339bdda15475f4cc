import assert from 'node:assert/strict';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { makeRunId } from '../../src/model/run.ts';
import { createLogger } from '../../src/telemetry.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const FAILED_PRECONDITION = 9;
const blocked = (details: string): Error =>
  Object.assign(new Error(details), { code: FAILED_PRECONDITION, details, metadata: {} });

describe('a run for which Temporal takes nothing', () => {
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;

  before(async () => {
    journal = await openJournal({});
  });
  after(async () => {
    await dispatcher?.stop();
    await journal.close();
  });

  it('is logged once for each reason, and again when it had gone on in between', async function () {
    this.timeout(60_000);
    const run = makeRunId({ flow: 'flow', tenant: 'default', key: 'blocked' });
    let count = 0;
    const append = async () => {
      count += 1;
      const event = testEvent({ id: `e${count}`, data: {} });
      const target = { flow: 'flow', key: 'blocked', run };
      const [result] = await journal.append([{ event, status: 'accepted', deliveries: [target] }]);
      return (result?.deliveries ?? []).map((numbered) => ({ target: numbered, event }));
    };
    const answers = ['moving', 'moving', 'taken', 'moving', 'gone', 'taken'];
    const reasons: string[] = [];
    dispatcher = createDispatcher({
      journal,
      holder: 'test',
      logger: createLogger({
        level: 'error',
        destination: { write: (line) => reasons.push(JSON.parse(line).reason) },
      }),
      deliver: async () => {
        const answer = answers.shift() ?? 'taken';
        if (answer !== 'taken') throw blocked(`the namespace is ${answer}`);
        // There is more of the run before this call has ended.
        if (count === 1) dispatcher?.offer(await append());
      },
    });
    await append();
    dispatcher.start();
    await until(
      'both to be sent',
      async () => (await journal.findRun(run))?.sentThrough === 2,
      30_000,
    );
    assert.deepEqual(answers, []);
    assert.deepEqual(reasons, [
      'the namespace is moving',
      'the namespace is moving',
      'the namespace is gone',
    ]);
  });
});
