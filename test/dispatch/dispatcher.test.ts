import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Deliver } from '../../src/dispatch/deliver.ts';
import { createDispatcher, type Dispatcher } from '../../src/dispatch/dispatcher.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

/** A stand-in for Temporal that checks, at every call, what Temporal relies on. */
function recordingDeliver(fault: () => 'none' | 'before' | 'after' = () => 'none', callMs = 0) {
  const received = new Map<RunId, number[]>();
  const inFlight = new Set<RunId>();
  const calls: { readonly run: RunId; readonly count: number }[] = [];
  const violations: string[] = [];
  const deliver: Deliver = async (run, _parts, batch) => {
    if (inFlight.has(run)) violations.push(`two calls at once to ${run}`);
    inFlight.add(run);
    try {
      await sleep(callMs);
      const kind = fault();
      if (kind === 'before') throw new Error('connection refused');
      calls.push({ run, count: batch.length });
      const numbers = received.get(run) ?? [];
      for (const { number } of batch) {
        // What a run does with a delivery that comes twice: it drops it by its number.
        if (number <= (numbers.at(-1) ?? 0)) continue;
        if (number !== (numbers.at(-1) ?? 0) + 1) violations.push(`gap before ${number} of ${run}`);
        numbers.push(number);
      }
      received.set(run, numbers);
      if (kind === 'after') throw new Error('the answer was lost');
    } finally {
      inFlight.delete(run);
    }
  };
  return { deliver, received, calls, violations };
}

describe('the dispatcher', () => {
  let journal: Journal;
  let dispatcher: Dispatcher | undefined;
  let sent = 0;
  let timeline = 0;

  before(async () => {
    journal = await openJournal({});
  });
  afterEach(async () => {
    await dispatcher?.stop();
    dispatcher = undefined;
  });
  after(() => journal.close());

  const start = (deliver: Deliver, holder = 'test'): Dispatcher => {
    const started = createDispatcher({ journal, deliver, logger: silent, holder });
    started.start();
    dispatcher = started;
    return started;
  };
  const append = async (key: string, count = 1) => {
    const run = makeRunId({ flow: 'flow', tenant: 'default', key });
    const events = Array.from({ length: count }, () => {
      sent += 1;
      return testEvent({ id: `e${sent}`, data: { n: sent } });
    });
    const results = await journal.append(
      events.map((event) => ({
        event,
        status: 'accepted',
        deliveries: [{ flow: 'flow', key, run }],
      })),
    );
    return results.flatMap(({ deliveries }, index) =>
      deliveries.map((target) => ({ target, event: events[index] ?? assert.fail() })),
    );
  };
  const run = (key: string): RunId => makeRunId({ flow: 'flow', tenant: 'default', key });
  const allSent = (keys: readonly string[]) =>
    until('everything to be sent', async () => {
      const rows = await Promise.all(keys.map((key) => journal.findRun(run(key))));
      return rows.every((row) => row !== undefined && row.sentThrough === row.acceptedThrough);
    });

  /** However slow the machine: no more calls than four a second, and the first. */
  const assertSpaced = (calls: number, startedAt: number): void => {
    const most = 2 + Math.floor((Date.now() - startedAt) / 250);
    assert.ok(calls <= most, `${calls} calls, at most ${most} are spaced`);
  };

  it('sends what was accepted before it started', async () => {
    await append('before', 3);
    const temporal = recordingDeliver();
    start(temporal.deliver);
    await allSent(['before']);
    assert.deepEqual(temporal.received.get(run('before')), [1, 2, 3]);
  });

  it('lets events that come during a call go together in the next one', async () => {
    const temporal = recordingDeliver(() => 'none', 50);
    const { offer } = start(temporal.deliver);
    await until('lanes', async () => (await journal.leaseLanes('test', 10_000)).lanes.length > 0);
    const startedAt = Date.now();
    for (let n = 0; n < 40; n += 1) offer(await append('hot'));
    await allSent(['hot']);
    assert.equal(temporal.received.get(run('hot'))?.length, 40);
    assertSpaced(temporal.calls.length, startedAt);
  });

  it('spaces the calls of a key whose events trickle in one by one', async () => {
    const temporal = recordingDeliver();
    const { offer } = start(temporal.deliver);
    await until('lanes', async () => (await journal.leaseLanes('test', 10_000)).lanes.length > 0);
    const startedAt = Date.now();
    for (let n = 0; n < 30; n += 1) {
      offer(await append('trickle'));
      await sleep(10);
    }
    await allSent(['trickle']);
    assertSpaced(temporal.calls.length, startedAt);
  });

  it('bounds what goes in one call', async () => {
    await append('big', LIMITS.deliveriesPerCallMax + 1);
    const temporal = recordingDeliver();
    start(temporal.deliver);
    await allSent(['big']);
    assert.deepEqual(
      temporal.calls.map(({ count }) => count),
      [LIMITS.deliveriesPerCallMax, 1],
    );
  });

  it('leaves to another process the lanes that it does not hold', async () => {
    await journal.leaseLanes('somebody else', 60_000);
    const temporal = recordingDeliver();
    const { offer } = start(temporal.deliver);
    offer(await append('elsewhere'));
    await sleep(700);
    assert.equal(temporal.calls.length, 0);
    await journal.releaseLanes('somebody else');
    await allSent(['elsewhere']);
  });

  it('keeps order and loses nothing, whatever calls fail, in whatever order commits are told', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 4 })), {
          minLength: 1,
          maxLength: 40,
        }),
        fc.array(fc.constantFrom('none' as const, 'before' as const, 'after' as const), {
          maxLength: 5,
        }),
        fc.infiniteStream(fc.nat(3)),
        async (bursts, faults, order) => {
          timeline += 1;
          const left = [...faults];
          const temporal = recordingDeliver(() => left.shift() ?? 'none');
          const { offer } = start(temporal.deliver, `holder-${sent}`);
          const keys = new Set<string>();
          const untold = [];
          for (const [keyNumber, count] of bursts) {
            const key = `timeline-${timeline}-key-${keyNumber}`;
            keys.add(key);
            untold.push(await append(key, count));
            // Some commits are told late, in another order, or never.
            const choice = order.next().value ?? 0;
            if (choice === 0) untold.reverse();
            if (choice < 3) offer(untold.pop() ?? []);
          }
          try {
            await allSent([...keys]);
          } finally {
            await dispatcher?.stop();
          }
          assert.deepEqual(temporal.violations, []);
          for (const key of keys) {
            const row = await journal.findRun(run(key));
            assert.equal(temporal.received.get(run(key))?.length, row?.acceptedThrough);
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  it('does not send again and again what may have arrived, until the run has taken it in', async function () {
    this.timeout(30_000);
    await append('unanswered', LIMITS.deliveriesPerCallMax);
    let calls = 0;
    let asked = 0;
    dispatcher = createDispatcher({
      ...{ journal, logger: silent, holder: 'test' },
      deliver: async () => {
        calls += 1;
        throw new Error('the answer was lost');
      },
      hasTakenIn: async () => {
        asked += 1;
        return false;
      },
    });
    dispatcher.start();
    await until('two questions', () => Promise.resolve(asked >= 2), 20_000);
    assert.equal(calls, 1);
  });

  it('is not ahead of what Temporal has acknowledged, in the journal', async () => {
    const temporal = recordingDeliver(() => 'before');
    const { offer } = start(temporal.deliver);
    await until('lanes', async () => (await journal.leaseLanes('test', 10_000)).lanes.length > 0);
    offer(await append('refused', 2));
    await sleep(400);
    assert.equal((await journal.findRun(run('refused')))?.sentThrough, 0);
  });
});
