import assert from 'node:assert/strict';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { runLane } from '../../src/journal/lanes.ts';
import { openJournal } from '../../src/journal/open.ts';
import { makeRunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const run = makeRunId({ flow: 'flow', tenant: 'default', key: 'a' });

describe('dispatchers that wake each other', () => {
  let journal: Journal;
  let dispatcher: Dispatcher;
  let woken: number[][];
  let looks: number;
  let wakeFails: boolean;
  let tell: (lanes: readonly number[]) => void;

  const start = async (): Promise<void> => {
    let lanes = -1;
    dispatcher = createDispatcher({
      journal: {
        ...journal,
        async wake(told) {
          woken.push([...told]);
          if (wakeFails) throw new Error('connection refused');
        },
        onWake: (listener) => {
          tell = listener;
        },
        async pendingRuns(...asked) {
          looks += 1;
          return journal.pendingRuns(...asked);
        },
      },
      logger: silent,
      holder: 'here',
      deliver: async () => {},
      onLanes: (held) => {
        lanes = held.length;
      },
    });
    dispatcher.start();
    await until('a first look', () => lanes >= 0);
  };
  const offer = (number: number): void =>
    dispatcher.offer([
      {
        target: { flow: 'flow', key: 'a', run, number },
        event: testEvent({ id: `e${number}`, data: {} }),
      },
    ]);

  beforeEach(async () => {
    woken = [];
    looks = 0;
    wakeFails = false;
    journal = await openJournal({});
  });
  afterEach(async () => {
    await dispatcher.stop();
    await journal.close();
  });

  it('say which lanes of others have something to send', async () => {
    await journal.leaseLanes('elsewhere', 60_000);
    await start();
    offer(1);
    await until('the other to be told', () => woken.length > 0);
    assert.deepEqual(woken, [[runLane(run)]]);
  });

  it('say nothing of lanes of their own', async () => {
    await start();
    offer(1);
    await dispatcher.stop();
    assert.deepEqual(woken, []);
  });

  it('say it seldom, however much comes in', async () => {
    await journal.leaseLanes('elsewhere', 60_000);
    await start();
    for (let number = 1; number <= 500; number += 1) offer(number);
    await until('the last to be told', () => woken.length >= 2);
    await dispatcher.stop();
    assert.ok(woken.length <= 3, `${woken.length} times`);
  });

  it('go on when it cannot be said', async () => {
    wakeFails = true;
    await journal.leaseLanes('elsewhere', 60_000);
    await start();
    offer(1);
    await until('a first try', () => woken.length === 1);
    await until('a second', async () => {
      offer(2);
      return woken.length >= 2;
    });
  });

  it('look at once when a lane of theirs has something, and not for others', async () => {
    await journal.leaseLanes('elsewhere', 60_000);
    await journal.releaseLanes(
      'elsewhere',
      Array.from({ length: LANES - 1 }, (_, lane) => lane + 1),
    );
    await start();
    const before = looks;
    tell([0]);
    assert.equal(looks, before, 'a lane of others');
    tell([0, 1]);
    assert.equal(looks, before + 1, 'a lane of theirs');
  });
});
