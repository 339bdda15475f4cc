import assert from 'node:assert/strict';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher } from '../../src/dispatch/dispatcher.ts';
import { openJournal } from '../../src/journal/open.ts';
import { makeRunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const HOUR_MS = 3_600_000;

describe('a dispatcher whose clock is set back', () => {
  const realNow = Date.now;
  afterEach(() => {
    Date.now = realNow;
  });

  it('goes on sending', async () => {
    const journal = await openJournal({});
    const sent: number[] = [];
    const deliver: Deliver = async (_run, _parts, batch) => {
      sent.push(...batch.map(({ number }) => number));
    };
    const dispatcher = createDispatcher({ journal, deliver, logger: silent, holder: 'test' });
    dispatcher.start();
    const run = makeRunId({ flow: 'flow', tenant: 'default', key: 'k' });
    const sendOne = async (id: string): Promise<void> => {
      const event = testEvent({ id, data: {} });
      const deliveries = [{ flow: 'flow', key: 'k', run }];
      await journal.append([{ event, status: 'accepted', deliveries }]);
    };
    try {
      await sendOne('before');
      await until('the first event to be sent', () => sent.length === 1);
      Date.now = () => realNow() - HOUR_MS;
      await sendOne('after');
      await until('the second event to be sent', () => sent.length === 2);
      assert.deepEqual(sent, [1, 2]);
    } finally {
      await dispatcher.stop();
      await journal.close();
    }
  });
});
