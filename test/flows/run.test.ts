import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { Decision, OperationCall, RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

/** What the operations of the fixture were called with, and what they are to do. */
const calls: OperationCall[] = [];
const failures = new Map<string, ApplicationFailure[]>();
let gate: Promise<void> = Promise.resolve();

async function operate(call: OperationCall): Promise<Json> {
  await gate;
  const { label } = call.input as { label: string };
  const failure = failures.get(`${call.run} ${call.operation}`)?.shift();
  if (failure !== undefined) throw failure;
  calls.push(call);
  return call.operation === 'act' ? { seen: label } : label;
}

const event = (id: string, n: number, fields: Partial<TidegateEvent> = {}): TidegateEvent =>
  testEvent({ id, time: new Date(1_700_000_000_000 + n).toISOString(), data: { n }, ...fields });
const callsOf = (run: RunId): readonly OperationCall[] => calls.filter((call) => call.run === run);
const labelsOf = (run: RunId): readonly string[] =>
  callsOf(run).map(({ input }) => (input as { label: string }).label);

describe('a run, on a real Temporal server', () => {
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
      operations: { 'probe.act': operate, 'probe.other': operate },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  const decide = (run: RunId, decision: Partial<Decision> & Pick<Decision, 'action'>) =>
    engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ reason: 'because', actor: 'tester', ...decision }],
    });
  const parked = (run: RunId) =>
    until(`${run} parked`, async () => {
      const row = await engine.row(run);
      return row?.status === 'parked' && row.park;
    });

  it('runs an immediate flow once per event, in order, and settles each with its result', async () => {
    const run = engine.run('immediate', 'order-1');
    for (let n = 1; n <= 5; n += 1) await engine.send('immediate', 'order-1', event(`i${n}`, n));
    const row = await engine.settled(run, 5);
    assert.deepEqual(labelsOf(run), ['n1', 'n2', 'n3', 'n4', 'n5']);
    assert.equal(row.status, 'settled');
    assert.deepEqual(
      row.settlements.map(({ fromNumber, throughNumber, outcome, result }) => [
        fromNumber,
        throughNumber,
        outcome,
        result,
      ]),
      [1, 2, 3, 4, 5].map((n) => [n, n, 'completed', `n${n}`]),
    );
    assert.equal(new Set(callsOf(run).map(({ idempotencyKey }) => idempotencyKey)).size, 5);
  });

  it('turns a burst into one window and one effect', async () => {
    const run = engine.run('trailing', 'burst');
    await Promise.all(
      Array.from({ length: 25 }, (_, n) => engine.send('trailing', 'burst', event(`b${n}`, n))),
    );
    const row = await engine.settled(run, 25);
    assert.deepEqual(labelsOf(run), ['count 25']);
    assert.deepEqual(row.settlements.at(0)?.result, { count: 25, closedBy: 'quiet', last: 24 });
    assert.equal(row.settlements.at(0)?.window?.closedBy, 'quiet');
  });

  it('makes what arrives while the body runs the next window', async () => {
    const run = engine.run('trailing', 'next');
    let open = (): void => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await engine.send('trailing', 'next', event('w1', 1));
    await until('the body to work', async () => (await view(run)).waitingFor?.includes('calling'));
    await engine.send('trailing', 'next', event('w2', 2));
    await until('the second event in the inbox', async () => (await view(run)).inboxCount === 1);
    open();
    await engine.settled(run, 2);
    assert.deepEqual(labelsOf(run), ['count 1', 'count 1']);
  });

  const view = (run: RunId) =>
    engine.client.workflow
      .getHandle(run)
      .query<Pick<RunView, 'stage' | 'inboxCount' | 'waitingFor' | 'seenThrough'>>('run')
      .catch(() => ({ stage: 'absent', inboxCount: 0, waitingFor: '', seenThrough: 0 }));

  it('with a leading edge goes on at once and suppresses what follows', async () => {
    const run = engine.run('leading', 'edge');
    for (let n = 1; n <= 4; n += 1) await engine.send('leading', 'edge', event(`l${n}`, n));
    const row = await engine.settled(run, 4);
    assert.deepEqual(
      row.settlements.map(({ outcome, fromNumber, throughNumber }) => [
        outcome,
        fromNumber,
        throughNumber,
      ]),
      [
        ['completed', 1, 1],
        ['suppressed', 2, 4],
      ],
    );
  });

  it('with both edges goes on at once and once more for what followed', async () => {
    const run = engine.run('both', 'edges');
    for (let n = 1; n <= 4; n += 1) await engine.send('both', 'edges', event(`x${n}`, n));
    const row = await engine.settled(run, 4);
    assert.deepEqual(
      row.settlements.map(({ result }) => result),
      [
        { count: 1, closedBy: 'leading' },
        { count: 3, closedBy: 'quiet' },
      ],
    );
  });

  it('suppresses what came within the quiet time of a leading edge while the body still ran', async () => {
    const run = engine.run('slowLeading', 'slow');
    let open = (): void => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    for (let n = 1; n <= 3; n += 1) await engine.send('slowLeading', 'slow', event(`sl${n}`, n));
    await until('the events in the inbox', async () => (await view(run)).inboxCount === 2);
    await until('the quiet time to be over', async () => {
      const { seenThrough } = await view(run);
      return seenThrough === 3 && (await sleep(600, true));
    });
    open();
    const row = await engine.settled(run, 3);
    assert.deepEqual(
      row.settlements.map(({ outcome, throughNumber }) => [outcome, throughNumber]),
      [
        ['completed', 1],
        ['suppressed', 3],
      ],
    );
  });

  it('begins the second window of a body with a new event', async () => {
    const run = engine.run('twice', 'two');
    await engine.send('twice', 'two', event('tw1', 1));
    await until('the second wait', async () =>
      (await view(run)).waitingFor?.startsWith('for an event'),
    );
    await engine.send('twice', 'two', event('tw2', 2));
    await engine.send('twice', 'two', event('tw3', 3));
    const row = await engine.settled(run, 3);
    assert.deepEqual(row.settlements.at(0)?.result, [1, 2, 2]);
  });

  it('drops a delivery that comes twice, also after the run has ended', async () => {
    const run = engine.run('immediate', 'twice');
    await engine.send('immediate', 'twice', event('t1', 1));
    await engine.settled(run, 1);
    const handle = engine.client.workflow.getHandle(run);
    await handle.result();
    await engine.client.workflow.signalWithStart('immediate', {
      workflowId: run,
      taskQueue: 'tidegate',
      args: [{ run, flow: 'immediate', tenant: 'default', key: 'twice' }],
      signal: 'deliver',
      signalArgs: [[{ number: 1, event: event('t1', 1) }]],
    });
    assert.equal(await handle.result(), null);
    assert.deepEqual(labelsOf(run), ['n1']);
  });

  it('flushes an open window when a person asks', async () => {
    const run = engine.run('patient', 'flush');
    await engine.send('patient', 'flush', event('f1', 1));
    await until('the window to be open', async () => (await view(run)).stage === 'waiting');
    await decide(run, { action: 'flush' });
    const row = await engine.settled(run, 1);
    assert.deepEqual(row.settlements.at(0)?.result, { count: 1, closedBy: 'flushed' });
  });

  it('carries an open window through continue-as-new and repeats no finished step', async function () {
    this.timeout(60_000);
    const run = engine.run('patient', 'long');
    const handle = engine.client.workflow.getHandle(run);
    await engine.send('patient', 'long', event('c0', 0));
    const { runId: firstRunId } = await until('the run', () =>
      handle.describe().catch(() => undefined),
    );
    // One signal per event, past the signals that one execution takes.
    for (let n = 1; n <= 520; n += 1) {
      await handle.signal('deliver', [{ number: n + 1, event: event(`c${n}`, n) }]);
    }
    await until('a new execution', async () => (await handle.describe()).runId !== firstRunId);
    await until('the window to be open', async () =>
      (await view(run)).waitingFor?.includes('521 so far'),
    );
    await decide(run, { action: 'flush' });
    const result = (await handle.result()) as { count: number; closedBy: string };
    assert.deepEqual(result, { count: 521, closedBy: 'flushed' });
    assert.deepEqual(labelsOf(run), ['before', 'count 521']);
  });

  describe('when an operation cannot be done', () => {
    const fail = (run: RunId, operation: string, type: string, times = 1): void => {
      failures.set(
        `${run} ${operation}`,
        Array.from({ length: times }, () =>
          ApplicationFailure.create({ message: `${operation} refused`, type, nonRetryable: true }),
        ),
      );
    };

    it('parks at the failed step and resumes there, repeating nothing before it', async () => {
      const run = engine.run('twoSteps', 'retry');
      fail(run, 'act', 'persistent');
      await engine.send('twoSteps', 'retry', event('p1', 1));
      const park = await parked(run);
      assert.equal(park.step, 'probe.act#1');
      assert.equal(park.errorClass, 'persistent');
      assert.equal(park.reason, 'act refused');
      await decide(run, { action: 'retry' });
      const row = await engine.settled(run, 1);
      assert.deepEqual(labelsOf(run), ['one', 'two n1']);
      assert.equal(row.settlements.at(0)?.outcome, 'completed');
    });

    it('asks again when the retry fails too', async () => {
      const run = engine.run('twoSteps', 'again');
      fail(run, 'act', 'transient', 2);
      await engine.send('twoSteps', 'again', event('a1', 1));
      const first = await parked(run);
      await decide(run, { action: 'retry' });
      const second = await until('a second park', async () => {
        const row = await engine.row(run);
        return row?.status === 'parked' && row.park?.parkId !== first.parkId && row.park;
      });
      assert.notEqual(second.parkId, first.parkId);
      await decide(run, { action: 'retry' });
      await engine.settled(run, 1);
      assert.deepEqual(labelsOf(run), ['one', 'two n1']);
    });

    it('skips the step with the value that the person gives', async () => {
      const run = engine.run('twoSteps', 'skip');
      fail(run, 'act', 'persistent');
      await engine.send('twoSteps', 'skip', event('s1', 1));
      await parked(run);
      await decide(run, { action: 'skip', input: { seen: 'by hand' } });
      const row = await engine.settled(run, 1);
      assert.deepEqual(row.settlements.at(0)?.result, { other: 'one', act: { seen: 'by hand' } });
    });

    it('aborts: the window is settled as aborted and the workflow fails', async () => {
      const run = engine.run('twoSteps', 'abort');
      fail(run, 'act', 'unknown');
      await engine.send('twoSteps', 'abort', event('ab1', 1));
      await parked(run);
      await decide(run, { action: 'abort', reason: 'not worth it' });
      const row = await engine.settled(run, 1);
      assert.equal(row.settlements.at(0)?.outcome, 'aborted');
      assert.match(row.settlements.at(0)?.reason ?? '', /not worth it/);
      await assert.rejects(engine.client.workflow.getHandle(run).result());
    });

    it('parks the whole body at a fatal failure that the flow does not catch', async () => {
      const run = engine.run('twoSteps', 'fatal');
      fail(run, 'act', 'fatal');
      await engine.send('twoSteps', 'fatal', event('fa1', 1));
      const park = await parked(run);
      assert.deepEqual([park.step, park.errorClass], ['body', 'fatal']);
      await decide(run, { action: 'retry' });
      await engine.settled(run, 1);
      assert.deepEqual(labelsOf(run), ['one', 'two n1']);
    });

    it('keeps its inbox bounded while it is parked, and works through the rest afterwards', async function () {
      this.timeout(60_000);
      const run = engine.run('trailing', 'full');
      fail(run, 'act', 'persistent');
      await engine.send('trailing', 'full', event('fu0', 0));
      await parked(run);
      const events = 2_000;
      const padding = 'x'.repeat(500);
      for (let n = 1; n <= events; n += 1) {
        await engine.send('trailing', 'full', event(`fu${n}`, n, { data: { n, padding } }));
      }
      await until('the run to ask to be sent nothing', () => engine.journal.isHeld(run));
      const waiting = (await view(run)).inboxCount;
      assert.ok(waiting < 1_000, `${waiting} events in the inbox`);
      await decide(run, { action: 'retry' });
      const row = await until(
        'everything to be settled',
        async () => {
          const found = await engine.row(run);
          return found?.settledThrough === events + 1 && found;
        },
        40_000,
      );
      assert.equal(await engine.journal.isHeld(run), false);
      const counts = row.settlements.map(({ window }) => window?.count ?? 0);
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        events + 1,
      );
    });

    it('refuses a decision when nothing waits for one', async () => {
      const run = engine.run('patient', 'nothing');
      await engine.send('patient', 'nothing', event('no1', 1));
      await until('the window to be open', async () => (await view(run)).stage === 'waiting');
      await assert.rejects(
        decide(run, { action: 'retry' }),
        (error: { cause?: { type?: string } }) => {
          assert.equal(error.cause?.type, 'run_not_waiting');
          return true;
        },
      );
      await decide(run, { action: 'flush' });
      await engine.settled(run, 1);
    });
  });

  it('settles as cancelled what a cancelled run had taken', async () => {
    const run = engine.run('patient', 'cancel');
    await engine.send('patient', 'cancel', event('ca1', 1));
    await until('the window to be open', async () => (await view(run)).stage === 'waiting');
    await engine.client.workflow.getHandle(run).cancel();
    const row = await engine.settled(run, 1);
    assert.equal(row.settlements.at(0)?.outcome, 'cancelled');
  });

  it('can be read in the Temporal Web UI: type, summaries, stage and search attributes', async () => {
    const run = engine.run('patient', 'legible');
    await engine.send('patient', 'legible', event('le1', 1, { source: 'crm' }));
    await until('the window to be open', async () => (await view(run)).stage === 'waiting');
    const handle = engine.client.workflow.getHandle(run);
    const description = await handle.describe();
    assert.equal(description.type, 'patient');
    assert.match((await description.staticSummary()) ?? '', /legible/);
    const attributes = Object.fromEntries(
      description.typedSearchAttributes
        .getAll()
        .filter(({ key }) => key.name.startsWith('Tidegate'))
        .map(({ key, value }) => [key.name, value]),
    );
    assert.deepEqual(attributes, {
      TidegateTenant: 'default',
      TidegateKey: 'legible',
      TidegateSource: 'crm',
      TidegateCorrelationId: 'le1',
      TidegateStage: 'waiting',
    });
    const { events } = await handle.fetchHistory();
    const timer = events?.find((item) => item.timerStartedEventAttributes);
    assert.match(
      Buffer.from(timer?.userMetadata?.summary?.data ?? []).toString(),
      /debounce legible/,
    );
    await decide(run, { action: 'flush' });
    await engine.settled(run, 1);
  });
});
