import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const BUSY_TENANTS = ['a', 'b', 'c'];
const RUNS_OF_EACH = 500;

describe('a dispatcher with much to send', () => {
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;
  /** The runs that were called, in the order in which the calls began. */
  let begun: RunId[] = [];
  let count = 0;

  beforeEach(async () => {
    journal = await openJournal({});
    begun = [];
  });
  afterEach(async () => {
    await dispatcher?.stop();
    await journal.close();
  });

  const start = (deliver: Deliver): Dispatcher => {
    dispatcher = createDispatcher({ journal, deliver, logger: silent, holder: 'test' });
    dispatcher.start();
    return dispatcher;
  };
  const append = async (tenant: string, keys: readonly string[]) => {
    const entries = keys.map((key) => {
      count += 1;
      const event = testEvent({ id: `e${count}`, tenantid: tenant, data: {} });
      const run = makeRunId({ flow: 'flow', tenant, key });
      return { event, status: 'accepted' as const, deliveries: [{ flow: 'flow', key, run }] };
    });
    const results = await journal.append(entries);
    return results.flatMap(({ deliveries }, index) =>
      deliveries.map((target) => ({ target, event: entries[index]?.event ?? assert.fail() })),
    );
  };
  const keys = (many: number) => Array.from({ length: many }, (_, index) => `key-${index}`);

  it('sends a single event after at most one call for each tenant with a backlog', async function () {
    this.timeout(60_000);
    for (const tenant of BUSY_TENANTS) await append(tenant, keys(RUNS_OF_EACH));
    const { offer } = start(async (run) => {
      begun.push(run);
      await sleep(5);
    });
    await until('some of the backlog to be sent', () => Promise.resolve(begun.length > 100));
    const single = await append('single', ['one']);
    const before = begun.length;
    assert.ok(before < BUSY_TENANTS.length * RUNS_OF_EACH, 'there is a backlog still');
    offer(single);
    const run = makeRunId({ flow: 'flow', tenant: 'single', key: 'one' });
    await until('the single event to be sent', () => Promise.resolve(begun.includes(run)));
    const waitedFor = begun.slice(before, begun.indexOf(run));
    assert.ok(waitedFor.length <= BUSY_TENANTS.length, `${waitedFor.length} calls: ${waitedFor}`);
  });

  it('sends everything else while the call of one run takes for ever', async function () {
    this.timeout(60_000);
    const slow = makeRunId({ flow: 'flow', tenant: 'a', key: 'slow' });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await append('a', ['slow']);
    const { offer } = start(async (run) => {
      begun.push(run);
      if (run === slow) await released;
    });
    await until('the slow call to begin', () => Promise.resolve(begun.includes(slow)));
    offer(await append('a', ['slow', ...keys(200)]));
    await until('all others to be sent', () => Promise.resolve(begun.length === 201));
    assert.equal(begun.filter((run) => run === slow).length, 1, 'its next call waits');
    release();
    await until('the rest of it', () =>
      Promise.resolve(begun.filter((run) => run === slow).length === 2),
    );
  });
});
