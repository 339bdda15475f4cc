import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import { ALL_RUNS, type RoutedDelivery } from '../../src/journal/deliveries.ts';
import { type Journal, LANES } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { FlowLimits } from '../../src/model/flow-registry.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/wait.ts';

const LIMIT = 2;
const limits: ReadonlyMap<string, FlowLimits> = new Map([
  ['limited', { concurrency: { limit: LIMIT } }],
  ['throttled', { throttle: { limit: 1, perMs: 3_600_000 } }],
]);

/** A stand-in for Temporal and its runs: counts those that are open, and settles each after a while. */
function fakeRuns(settle: (run: RunId, through: number) => Promise<void>, lastMs?: number) {
  const begun: RunId[] = [];
  const open = new Map<RunId, number>();
  const ends: Promise<void>[] = [];
  let most = 0;
  const end = async (run: RunId): Promise<void> => {
    const through = open.get(run) ?? assert.fail(`${run} is not open`);
    // Before the settlement: from then on its slot may be another's.
    open.delete(run);
    await settle(run, through);
  };
  const deliver: Deliver = async (run, _parts, batch) => {
    const through = batch.at(-1)?.number ?? 0;
    if (!open.has(run)) {
      begun.push(run);
      if (lastMs !== undefined) ends.push(sleep(lastMs).then(() => end(run)));
    }
    open.set(run, through);
    most = Math.max(most, open.size);
  };
  return { deliver, begun, open, end, ends, most: () => most };
}

let sent = 0;
const runOf = (flow: string, key: string): RunId => makeRunId({ flow, tenant: 'default', key });
async function append(journal: Journal, flow: string, keys: readonly string[]) {
  const events = keys.map(() => {
    sent += 1;
    return testEvent({ id: `e${sent}`, data: { n: sent } });
  });
  const results = await journal.append(
    events.map((event, index) => {
      const key = keys[index] ?? assert.fail();
      const limit = limits.get(flow);
      const limitKeys = {
        ...(limit?.concurrency && { concurrency: ALL_RUNS }),
        ...(limit?.throttle && { throttle: ALL_RUNS }),
      };
      const delivery: RoutedDelivery = {
        flow,
        key,
        run: runOf(flow, key),
        ...(limit && { limitKeys }),
      };
      return { event, status: 'accepted', deliveries: [delivery] };
    }),
  );
  return results.flatMap(({ deliveries }, index) =>
    deliveries.map((target) => ({ target, event: events[index] ?? assert.fail() })),
  );
}
const settleIn = (journal: Journal) => (run: RunId, through: number) =>
  journal.activities['journal.settle']({
    run,
    workflowRunId: 'execution',
    through,
    outcome: 'completed',
  });
const numbered = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `k${index}`);

describe('a dispatcher of flows with limits', () => {
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;

  beforeEach(async () => {
    journal = await openJournal({});
  });
  afterEach(async () => {
    await dispatcher?.stop();
    await journal.close();
  });

  const start = async (
    deliver: Deliver,
    options: { readonly journal?: Journal; readonly limits?: typeof limits } = {},
  ): Promise<Dispatcher> => {
    let held = 0;
    dispatcher = createDispatcher({
      journal,
      limits,
      deliver,
      logger: silent,
      holder: 'test',
      onLanes: (lanes) => {
        held = lanes.length;
      },
      ...options,
    });
    dispatcher.start();
    await until('every lane', () => held === LANES);
    return dispatcher;
  };

  it('has no more runs open than the limit, and gets through all, the oldest first', async () => {
    const runs = fakeRuns(settleIn(journal), 30);
    const { offer } = await start(runs.deliver);
    const keys = numbered(20);
    for (const key of keys) offer(await append(journal, 'limited', [key]));
    await until('all to have begun', () => runs.begun.length === keys.length);
    await Promise.all(runs.ends);
    assert.equal(runs.most(), LIMIT);
    assert.deepEqual(
      runs.begun,
      keys.map((key) => runOf('limited', key)),
    );
  });

  it('sends nothing to a run that waits, however its events are told, and all of it in order then', async () => {
    const runs = fakeRuns(settleIn(journal));
    const { offer } = await start(runs.deliver);
    offer(await append(journal, 'limited', ['a', 'b']));
    await until('two to have begun', () => runs.begun.length === 2);
    offer(await append(journal, 'limited', ['c']));
    offer(await append(journal, 'limited', ['c', 'a']));
    await until(
      'the second event of an open run',
      () => runs.open.get(runOf('limited', 'a')) === 2,
    );
    await sleep(600);
    assert.equal(runs.begun.length, 2);
    await runs.end(runOf('limited', 'b'));
    await until('both events of the third', () => runs.open.get(runOf('limited', 'c')) === 2);

    // A run that was open, and is known here, waits like any other once it is settled.
    await runs.end(runOf('limited', 'a'));
    offer(await append(journal, 'limited', ['d']));
    await until('the fourth', () => runs.open.has(runOf('limited', 'd')));
    offer(await append(journal, 'limited', ['a']));
    await sleep(600);
    assert.equal(runs.open.has(runOf('limited', 'a')), false);
    await runs.end(runOf('limited', 'd'));
    await until('the first again', () => runs.open.get(runOf('limited', 'a')) === 3);
    assert.equal(runs.most(), LIMIT);
  });

  it('does not send what it is about to read of a run that has been settled and waits again', async () => {
    const runs = fakeRuns(settleIn(journal));
    const { offer } = await start(runs.deliver);
    offer(await append(journal, 'limited', ['a', 'b']));
    await until('two to have begun', () => runs.begun.length === 2);
    // It looks for more of both in a quarter of a second.
    await append(journal, 'limited', ['c']);
    await runs.end(runOf('limited', 'a'));
    await append(journal, 'limited', ['a']);
    await until('the third', () => runs.open.has(runOf('limited', 'c')));
    await sleep(600);
    assert.equal(runs.open.has(runOf('limited', 'a')), false);
    assert.equal(runs.most(), LIMIT);
  });

  it('does not hold up another flow, though thousands wait for a slot', async () => {
    const waiting = numbered(3_000);
    for (let from = 0; from < waiting.length; from += 500) {
      await append(journal, 'throttled', waiting.slice(from, from + 500));
    }
    // Accepted after all of them, and found by the poll alone.
    await append(journal, 'free', ['a', 'b', 'c']);
    const runs = fakeRuns(settleIn(journal));
    await start(runs.deliver);
    await until('the other flow', () =>
      ['a', 'b', 'c'].every((key) => runs.open.has(runOf('free', key))),
    );
    await until('the first of those that wait', () => runs.begun.length === 4);
    assert.ok(runs.open.has(runOf('throttled', 'k0')));
    // Those that wait are not among what is to be sent.
    const lanes = Array.from({ length: LANES }, (_, lane) => lane);
    await until('nothing to be left to send', async () => {
      const found = await journal.pendingRuns(lanes, 10_000);
      return found.length === 0;
    });
  });

  it('sends what another process let begin before it died', async () => {
    await append(journal, 'limited', ['a']);
    await journal.admit(limits);
    const runs = fakeRuns(settleIn(journal));
    await start(runs.deliver);
    await until('the run', () => runs.open.has(runOf('limited', 'a')));
  });

  it('goes by the limits that it was started with, also for what waited before', async () => {
    await append(journal, 'limited', numbered(6));
    await journal.admit(limits);
    const runs = fakeRuns(settleIn(journal));
    await start(runs.deliver, { limits: new Map([['limited', { concurrency: { limit: 4 } }]]) });
    await until('four', () => runs.open.size === 4);
    await dispatcher?.stop();
    await start(runs.deliver, { limits: new Map() });
    await until('the others: the limit is gone', () => runs.open.size === 6);
  });

  it('without limits, asks for slots once with each lease, however many runs there are', async () => {
    const startedAt = Date.now();
    let asked = 0;
    const counting: Journal = {
      ...journal,
      admit: (given) => {
        asked += 1;
        return journal.admit(given);
      },
    };
    const runs = fakeRuns(settleIn(journal), 10);
    const { offer } = await start(runs.deliver, { journal: counting, limits: new Map() });
    offer(await append(journal, 'free', numbered(50)));
    await until('all to have begun', () => runs.begun.length === 50);
    await sleep(600);
    const leases = 1 + Math.floor((Date.now() - startedAt) / 2_000);
    assert.ok(asked <= leases, `${asked} times, with at most ${leases} leases`);
  });
});

describe('two dispatchers of flows with limits, on one PostgreSQL', function () {
  this.timeout(60_000);
  let postgres: TestPostgres;

  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.remove());

  it('keep to one limit together, and get through all, also when one of them is gone', async () => {
    const url = await postgres.createDatabase();
    const left = await openJournal({ databaseUrl: url });
    const right = await openJournal({ databaseUrl: url });
    const runs = fakeRuns(settleIn(right), 20);
    const held = new Map<string, number>();
    const start = (journal: Journal, holder: string): Dispatcher => {
      const dispatcher = createDispatcher({
        journal,
        limits,
        deliver: runs.deliver,
        logger: silent,
        holder,
        onLanes: (lanes) => held.set(holder, lanes.length),
      });
      dispatcher.start();
      return dispatcher;
    };
    const first = start(left, 'first');
    await until('the first to have lanes', () => held.get('first') === LANES);
    // It holds no lane and still lets runs begin, which the first one sends.
    const second = start(right, 'second');
    try {
      const keys = numbered(30);
      for (const [index, key] of keys.entries()) {
        const [journal, dispatcher] = index % 2 === 0 ? [left, first] : [right, second];
        dispatcher.offer(await append(journal, 'limited', [key]));
        if (index === 20) await first.stop();
      }
      await until('all to have begun', () => new Set(runs.begun).size === keys.length, 30_000);
      assert.ok(runs.most() <= LIMIT, `${runs.most()} were open at a time`);
    } finally {
      await first.stop();
      await second.stop();
      await until('the last to be settled', () => runs.open.size === 0);
      await sleep(50);
      await left.close();
      await right.close();
    }
  });
});
