import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import type { Json } from '../../src/model/event.ts';
import type { Decision, OperationCall, RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const calls: OperationCall[] = [];
/** The error classes with which the next calls of a label fail. */
const failures = new Map<string, string[]>();
/** What the calls of a label wait for. */
const gates = new Map<string, Promise<void>>();

const labelOf = ({ input }: OperationCall): string => (input as { label: string }).label;

async function operate(call: OperationCall): Promise<Json> {
  const name = `${call.run} ${labelOf(call)}`;
  calls.push(call);
  await gates.get(name);
  const type = failures.get(name)?.shift();
  if (type === undefined) return `(${labelOf(call)})`;
  throw ApplicationFailure.create({
    message: `${labelOf(call)} refused`,
    type,
    nonRetryable: true,
  });
}

const callsOf = (run: RunId) => calls.filter((call) => call.run === run);
const labelsOf = (run: RunId): readonly string[] => callsOf(run).map(labelOf);

describe('a saga, on a real Temporal server', () => {
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/saga-flows.ts', import.meta.url)),
      operations: { 'probe.act': operate },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  const start = async (key: string, flow = 'order'): Promise<RunId> => {
    await engine.send(flow, key, testEvent({ id: key, data: { n: 3 } }));
    return engine.run(flow, key);
  };
  const decide = (run: RunId, action: Decision['action']) =>
    engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ action, reason: 'because', actor: 'tester' }],
    });
  const parkedAt = (run: RunId, step: string) =>
    until(`${run} parked at ${step}`, async () => {
      const row = await engine.row(run);
      return row?.status === 'parked' && row.park?.step === step && row.park;
    });
  const settlement = async (run: RunId) => (await engine.settled(run, 1)).settlements.at(0);

  it('undoes nothing when all is done', async () => {
    const run = await start('done');
    assert.equal((await settlement(run))?.result, '(reserve)');
    assert.deepEqual(labelsOf(run), ['reserve', 'charge', 'ship']);
  });

  it('undoes newest first with what each act returned, then throws the failure on', async () => {
    failures.set(`${engine.run('order', 'failed')} ship`, ['fatal']);
    const run = await start('failed');
    const park = await parkedAt(run, 'body');
    assert.deepEqual([park.errorClass, park.reason], ['fatal', 'ship refused']);
    const undone = [
      'reserve',
      'charge',
      'ship',
      'recall undefined',
      'refund (charge)',
      'release (reserve)',
    ];
    assert.deepEqual(labelsOf(run), undone);
    await decide(run, 'retry');
    assert.equal((await settlement(run))?.outcome, 'completed');
    assert.deepEqual(labelsOf(run), [...undone, 'reserve', 'charge', 'ship']);
    assert.equal(new Set(callsOf(run).map(({ idempotencyKey }) => idempotencyKey)).size, 9);
  });

  it('keeps in the journal what it has done and undone, also while it is in the middle', async () => {
    const run = engine.run('order', 'recorded');
    failures.set(`${run} ship`, ['fatal']);
    failures.set(`${run} refund (charge)`, ['persistent']);
    await start('recorded');
    await parkedAt(run, 'saga#1/undo charge#1/probe.act#1');
    const records = async () =>
      (await engine.journal.stepRecords(run)).map(({ step, record }) => ({ step, record }));
    const steps = (...statuses: readonly string[]) =>
      ['reserve', 'charge', 'ship'].map((name, index) => ({
        step: `saga#1/${name}#1`,
        status: statuses[index],
      }));
    assert.deepEqual(await records(), [
      {
        step: 'saga#1',
        record: { status: 'compensating', steps: steps('done', 'done', 'undone') },
      },
    ]);
    const { open } = await engine.client.workflow.getHandle(run).query<RunView>('run');
    assert.deepEqual(
      open.find(({ kind }) => kind === 'saga'),
      {
        step: 'saga#1',
        kind: 'saga',
        standing: '3 begun, 1 undone',
        state: steps('done', 'done', 'undone'),
      },
    );
    await decide(run, 'abort');
    await parkedAt(run, 'body');
    assert.deepEqual(await records(), [
      {
        step: 'saga#1',
        record: { status: 'compensated', steps: steps('undone', 'leftUndone', 'undone') },
      },
    ]);
    await decide(run, 'retry');
    await settlement(run);
    assert.deepEqual((await records()).at(-1), {
      step: 'saga#1~2',
      record: {
        status: 'completed',
        steps: steps('done', 'done', 'done').map(({ step, status }) => ({
          step: step.replace('saga#1', 'saga#1~2'),
          status,
        })),
      },
    });
  });

  it('undoes when a person aborts a step, and the run ends as aborted', async () => {
    failures.set(`${engine.run('order', 'aborted')} charge`, ['persistent']);
    const run = await start('aborted');
    await parkedAt(run, 'saga#1/charge#1/probe.act#1');
    await decide(run, 'abort');
    assert.equal((await settlement(run))?.outcome, 'aborted');
    assert.deepEqual(labelsOf(run), ['reserve', 'charge', 'refund undefined', 'release (reserve)']);
  });

  it('undoes when the run is cancelled, and ends as cancelled', async () => {
    const run = engine.run('order', 'cancelled');
    let open = (): void => {};
    gates.set(
      `${run} charge`,
      new Promise((resolve) => {
        open = resolve;
      }),
    );
    await start('cancelled');
    await until('charge to be called', async () => labelsOf(run).includes('charge'));
    await engine.client.workflow.getHandle(run).cancel();
    await until('the cancellation in the history', async () => {
      const { events } = await engine.client.workflow.getHandle(run).fetchHistory();
      return events?.some((event) => event.activityTaskCancelRequestedEventAttributes);
    });
    open();
    assert.equal((await settlement(run))?.outcome, 'cancelled');
    assert.deepEqual(labelsOf(run), ['reserve', 'charge', 'refund (charge)', 'release (reserve)']);
  });

  it('asks no more about a step that was cancelled while it waited for a person', async () => {
    const run = engine.run('order', 'withdrawn');
    failures.set(`${run} charge`, ['persistent']);
    failures.set(`${run} release (reserve)`, ['persistent']);
    await start('withdrawn');
    await parkedAt(run, 'saga#1/charge#1/probe.act#1');
    await engine.client.workflow.getHandle(run).cancel();
    await parkedAt(run, 'saga#1/undo reserve#1/probe.act#1');
    await decide(run, 'retry');
    assert.equal((await settlement(run))?.outcome, 'cancelled');
    assert.deepEqual(labelsOf(run), [
      'reserve',
      'charge',
      'refund undefined',
      'release (reserve)',
      'release (reserve)',
    ]);
  });

  it('undoes what the branches of a fan-out had begun', async () => {
    const run = engine.run('reserveLines', 'lines');
    failures.set(`${run} reserve 1`, ['fatal']);
    await start('lines', 'reserveLines');
    await parkedAt(run, 'body');
    assert.deepEqual(labelsOf(run).slice(3), [
      'release 2 (reserve 2)',
      'release 1 undefined',
      'release 0 (reserve 0)',
    ]);
    const lastKey = callsOf(run).at(-1)?.idempotencyKey;
    assert.equal(lastKey, `${run}/1/saga#1/fanOut#1/0/undo reserve#1/probe.act#1`);
    await decide(run, 'retry');
    assert.equal((await settlement(run))?.outcome, 'completed');
    assert.deepEqual([...labelsOf(run).slice(6)].sort(), ['reserve 0', 'reserve 1', 'reserve 2']);
  });

  it('asks a person about an undo that fails, and goes on undoing whatever they decide', async () => {
    const run = engine.run('order', 'undo');
    failures.set(`${run} ship`, ['fatal']);
    failures.set(`${run} recall undefined`, ['fatal']);
    failures.set(`${run} refund (charge)`, ['fatal']);
    await start('undo');
    await parkedAt(run, 'saga#1/undo ship#1');
    await decide(run, 'retry');
    await parkedAt(run, 'saga#1/undo charge#1');
    await decide(run, 'abort');
    await parkedAt(run, 'body');
    assert.deepEqual(labelsOf(run).slice(3), [
      'recall undefined',
      'recall undefined',
      'refund (charge)',
      'release (reserve)',
    ]);
    await decide(run, 'skip');
    assert.equal((await settlement(run))?.outcome, 'skipped');
  });

  it('goes on undoing on another worker, repeating nothing', async function () {
    this.timeout(40_000);
    const run = engine.run('order', 'worker');
    failures.set(`${run} ship`, ['fatal']);
    failures.set(`${run} refund (charge)`, ['persistent']);
    await start('worker');
    await parkedAt(run, 'saga#1/undo charge#1/probe.act#1');
    await engine.stopWorker();
    await engine.startWorker();
    await decide(run, 'retry');
    await parkedAt(run, 'body');
    assert.deepEqual(labelsOf(run), [
      'reserve',
      'charge',
      'ship',
      'recall undefined',
      'refund (charge)',
      'refund (charge)',
      'release (reserve)',
    ]);
    await decide(run, 'skip');
    await settlement(run);
  });
});
