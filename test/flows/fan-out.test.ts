import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import type { Json } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
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
  if (type === undefined) return `did ${labelOf(call)}`;
  throw ApplicationFailure.create({
    message: `${labelOf(call)} refused`,
    type,
    nonRetryable: true,
    details: [{ attempts: 3 }],
  });
}

function close(run: RunId, label: string): () => void {
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  gates.set(`${run} ${label}`, gate);
  return open;
}
const labelsOf = (run: RunId): readonly string[] =>
  calls.filter((call) => call.run === run).map(labelOf);
const called = (run: RunId, label: string) =>
  until(`${label} of ${run} to be called`, async () => labelsOf(run).includes(label));

describe('a fan-out, on a real Temporal server', () => {
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/fan-out-flows.ts', import.meta.url)),
      operations: { 'probe.act': operate },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  const start = async (flow: string, key: string, n = 1): Promise<RunId> => {
    await engine.send(flow, key, testEvent({ id: `${flow}-${key}`, data: { n } }));
    return engine.run(flow, key);
  };
  const decide = (run: RunId, action: Decision['action']) =>
    engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ action, reason: 'because', actor: 'tester' }],
    });
  const parked = (run: RunId) =>
    until(`${run} parked`, async () => {
      const row = await engine.row(run);
      return row?.status === 'parked' && row.park;
    });
  const resultOf = async (run: RunId) => (await engine.settled(run, 1)).settlements.at(0)?.result;

  it('keeps a failure in its branch and tells what the others came to', async () => {
    const run = engine.run('notify', 'partial');
    failures.set(`${run} pager`, ['fatal']);
    await start('notify', 'partial');
    assert.deepEqual(await resultOf(run), {
      status: 'partial',
      chat: 'did chat 1, did chat 2',
      pager: { class: 'fatal', message: 'pager refused', attempts: 3 },
      tracker: 'did tracker',
    });
  });

  it('lets the other branches go on while one waits for a person, and retries only that one', async () => {
    const run = engine.run('notify', 'parked');
    failures.set(`${run} chat 1`, ['persistent']);
    await start('notify', 'parked');
    const park = await parked(run);
    assert.equal(park.step, 'fanOut#1/chat/probe.act#1');
    await called(run, 'tracker');
    await decide(run, 'retry');
    assert.deepEqual(await resultOf(run), {
      status: 'full',
      chat: 'did chat 1, did chat 2',
      pager: 'did pager',
      tracker: 'did tracker',
    });
    assert.deepEqual([...labelsOf(run)].sort(), ['chat 1', 'chat 1', 'chat 2', 'pager', 'tracker']);
  });

  it('with stop begins nothing after a failure, awaits what runs and throws that failure', async () => {
    const run = engine.run('reserve', 'stop');
    failures.set(`${run} line 1`, ['fatal']);
    const open = close(run, 'line 0');
    await start('reserve', 'stop', 6);
    await called(run, 'line 1');
    await called(run, 'line 0');
    await until('the failure in the history', async () => {
      const { events } = await engine.client.workflow.getHandle(run).fetchHistory();
      return events?.some((event) => event.activityTaskFailedEventAttributes);
    });
    assert.equal((await engine.row(run))?.status, 'open');
    open();
    const park = await parked(run);
    assert.deepEqual(
      [park.step, park.errorClass, park.reason],
      ['body', 'fatal', 'line 1 refused'],
    );
    assert.deepEqual([...labelsOf(run)].sort(), ['line 0', 'line 1']);
    await decide(run, 'retry');
    assert.deepEqual(
      await resultOf(run),
      [0, 1, 2, 3, 4, 5].map((line) => `did line ${line}`),
    );
    assert.equal(labelsOf(run).filter((label) => label === 'line 0').length, 1);
  });

  it('gives a step the same id whatever order its branches end in, also when the body runs again', async () => {
    const run = engine.run('insist', 'reversed');
    failures.set(`${run} b2`, ['fatal']);
    const openA = close(run, 'a1');
    const openB = close(run, 'b1');
    await start('insist', 'reversed');
    await called(run, 'c2');
    openB();
    await called(run, 'b2');
    openA();
    const park = await parked(run);
    assert.equal(park.step, 'body');
    await decide(run, 'retry');
    assert.deepEqual(
      await resultOf(run),
      ['a', 'b', 'c'].map((name) => [`did ${name}1`, `did ${name}2`]),
    );
    const keys = calls
      .filter((call) => call.run === run)
      .map((call) => [labelOf(call), call.idempotencyKey.slice(`${run}/1/`.length)].join(' '));
    assert.deepEqual(keys.sort(), [
      'a1 fanOut#1/0/probe.act#1',
      'a2 fanOut#1/0/probe.act#2',
      'b1 fanOut#1/1/probe.act#1',
      'b2 fanOut#1/1/probe.act#2',
      'b2 fanOut#1/1/probe.act#2',
      'c1 fanOut#1/2/probe.act#1',
      'c2 fanOut#1/2/probe.act#2',
    ]);
  });

  it('continues as new beside a failed branch, and does not try that one again', async function () {
    this.timeout(60_000);
    const run = engine.run('notify', 'long');
    failures.set(`${run} pager`, ['fatal']);
    failures.set(`${run} tracker`, ['persistent']);
    await start('notify', 'long');
    await parked(run);
    await called(run, 'chat 2');
    const handle = engine.client.workflow.getHandle(run);
    const { runId } = await handle.describe();
    for (let left = LIMITS.signalsPerRunMax; left > 0; left -= 50) {
      await Promise.all(Array.from({ length: 50 }, () => handle.signal('deliver', [])));
    }
    await until('a new execution', async () => (await handle.describe()).runId !== runId);
    await until('the new execution to ask again', async () => {
      const view = await handle.query<RunView>('run').catch(() => undefined);
      return view?.parked !== undefined;
    });
    await decide(run, 'retry');
    const result = (await resultOf(run)) as { status: string; tracker: string };
    assert.deepEqual([result.status, result.tracker], ['partial', 'did tracker']);
    assert.deepEqual([...labelsOf(run)].sort(), [
      'chat 1',
      'chat 2',
      'pager',
      'tracker',
      'tracker',
    ]);
  });

  it('ends as cancelled when the run is cancelled', async () => {
    const run = engine.run('notify', 'cancelled');
    failures.set(`${run} chat 1`, ['persistent']);
    await start('notify', 'cancelled');
    await parked(run);
    await engine.client.workflow.getHandle(run).cancel();
    const row = await engine.settled(run, 1);
    assert.equal(row.settlements.at(0)?.outcome, 'cancelled');
  });
});
