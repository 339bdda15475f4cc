import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { OperationCall, RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const labels: string[] = [];
const gates = new Map<RunId, Promise<void>>();

async function act(call: OperationCall): Promise<Json> {
  await gates.get(call.run);
  labels.push(`${call.run} ${(call.input as { label: string }).label}`);
  return 'done';
}

const order = (id: string, total = 10): TidegateEvent =>
  testEvent({ id, type: 'order.placed', data: { total } });
const payment = (id: string): TidegateEvent =>
  testEvent({ id, type: 'payment.received', data: { amount: 10 } });
const parcel = (id: string): TidegateEvent =>
  testEvent({ id, type: 'parcel.packed', data: { grams: 100 } });

describe('waitFor, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/wait-for-flows.ts', import.meta.url)),
      operations: { 'probe.act': act },
    });
  });
  after(async () => {
    await engine.stop();
  });

  const view = (run: RunId) =>
    engine.client.workflow
      .getHandle(run)
      .query<RunView>('run')
      .catch(() => undefined);
  const waiting = (run: RunId, inboxCount = 0) =>
    until(`${run} to wait with ${inboxCount} in its inbox`, async () => {
      const now = await view(run);
      return now?.open.some(({ kind }) => kind === 'waitFor') && now.inboxCount === inboxCount;
    });
  const resultsOf = async (run: RunId, deliveries: number) =>
    (await engine.settled(run, deliveries)).settlements.map(({ result }) => result);

  /** Lets the run's flow begin to wait when the returned function is called. */
  function close(run: RunId): () => void {
    let open = (): void => {};
    gates.set(
      run,
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    return open;
  }

  it('finds an event that came before it began to wait, and leaves what came before that', async () => {
    const run = engine.run('pay', 'early');
    const open = close(run);
    await engine.send('pay', 'early', order('e1'));
    for (const event of [parcel('e2'), payment('e3'), payment('e4')]) {
      await engine.send('pay', 'early', event);
    }
    await until('all four to be there', async () => (await view(run))?.seenThrough === 4);
    open();
    assert.deepEqual(await resultsOf(run, 4), [
      { id: 'e3', amount: 10, waiting: 2 },
      'window of e2',
      'window of e4',
    ]);
  });

  it('finds one that comes later; what it leaves opens the next windows, in order', async () => {
    const run = engine.run('pay', 'later');
    await engine.send('pay', 'later', order('l1'));
    await waiting(run);
    await engine.send('pay', 'later', parcel('l2'));
    await engine.send('pay', 'later', parcel('l3'));
    await waiting(run, 2);
    await engine.send('pay', 'later', payment('l4'));
    const row = await engine.settled(run, 4);
    assert.deepEqual(
      row.settlements.map(({ result }) => result),
      [{ id: 'l4', amount: 10, waiting: 2 }, 'window of l2', 'window of l3'],
    );
    assert.deepEqual(
      row.settlements.map(({ fromNumber, throughNumber }) => [fromNumber, throughNumber]),
      [
        [1, 1],
        [2, 2],
        [3, 4],
      ],
    );
    assert.equal(row.settlements.at(0)?.window?.closedBy, 'received');
  });

  it('times out at its deadline; the event that opened the run neither counts nor is taken', async () => {
    await engine.send('hasty', 'late', order('h1'));
    assert.deepEqual(await resultsOf(engine.run('hasty', 'late'), 1), [
      { answer: { status: 'timedOut', closedBy: 'deadline' }, eventIds: ['h1'] },
    ]);
  });

  it('counts what has come when there is no time to wait', async () => {
    const run = engine.run('pay', 'poll');
    const open = close(run);
    await engine.send('pay', 'poll', order('p1', 0));
    await engine.send('pay', 'poll', payment('p2'));
    await until('both to be there', async () => (await view(run))?.seenThrough === 2);
    open();
    assert.deepEqual(await resultsOf(run, 2), [{ id: 'p2', amount: 10, waiting: 0 }]);
    await engine.send('pay', 'empty', order('p3', 0));
    assert.deepEqual(await resultsOf(engine.run('pay', 'empty'), 1), [
      { status: 'timedOut', closedBy: 'deadline' },
    ]);
  });

  it('times out when a person flushes it', async () => {
    const run = engine.run('pay', 'flushed');
    await engine.send('pay', 'flushed', order('f1'));
    await waiting(run);
    await engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ action: 'flush', reason: 'because', actor: 'tester' }],
    });
    assert.deepEqual(await resultsOf(run, 1), [{ status: 'timedOut', closedBy: 'flushed' }]);
  });

  it('lets two waits find their events in reverse order', async () => {
    const run = engine.run('both', 'reverse');
    await engine.send('both', 'reverse', order('r1'));
    await waiting(run);
    await engine.send('both', 'reverse', parcel('r2'));
    await waiting(run, 1);
    await engine.send('both', 'reverse', payment('r3'));
    const row = await engine.settled(run, 3);
    assert.deepEqual(
      row.settlements.map(({ result, throughNumber }) => [result, throughNumber]),
      [[['r3', 'r2'], 3]],
    );
  });

  it('tells an operator until when it waits, and nothing of the data', async () => {
    const run = engine.run('pay', 'shown');
    await engine.send('pay', 'shown', order('s1'));
    await waiting(run);
    const [step] = (await view(run))?.open ?? [];
    assert.ok(step !== undefined);
    const { dueAt, state, ...shown } = step;
    assert.deepEqual(shown, {
      step: 'waitFor#1',
      kind: 'waitFor',
      standing: 'an event, at most 1h',
    });
    const { firstAt, ...counted } = state as { readonly firstAt: number };
    assert.equal(dueAt, firstAt + 3_600_000);
    assert.deepEqual(counted, { count: 0, lastAt: firstAt });
    await engine.send('pay', 'shown', payment('s2'));
    await engine.settled(run, 2);
  });

  it('is carried through continue-as-new with all that it has left, in order', async () => {
    const run = engine.run('long', 'carried');
    const handle = engine.client.workflow.getHandle(run);
    await engine.send('long', 'carried', order('c1'));
    await waiting(run);
    const dueAt = (await view(run))?.open.at(0)?.dueAt;
    const { runId: firstRunId } = await handle.describe();
    // One signal per event, past the signals that one execution takes.
    const left = Array.from({ length: 519 }, (_, index) => index + 2);
    for (const number of left) {
      await handle.signal('deliver', [{ number, event: parcel(`c${number}`) }]);
    }
    await until('a new execution', async () => (await handle.describe()).runId !== firstRunId);
    await waiting(run, left.length);
    assert.equal((await view(run))?.open.at(0)?.dueAt, dueAt);
    await handle.signal('deliver', [{ number: 521, event: payment('c521') }]);
    assert.deepEqual(
      await handle.result(),
      left.map((number) => `c${number}`),
    );
    assert.deepEqual(
      labels.filter((label) => label.startsWith(run)),
      [`${run} before`, `${run} received, 519 left`],
    );
  });
});
