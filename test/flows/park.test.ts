import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import type { Json } from '../../src/model/event.ts';
import type {
  Decision,
  DecisionReceipt,
  OperationCall,
  RunView,
} from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';
import type { Asks } from './fixtures/asking-flows.ts';

const calls: OperationCall[] = [];
const failures = new Map<string, ApplicationFailure[]>();
/** Holds back the calls of a run that have this label. */
const gates = new Map<string, Promise<void>>();

async function operate(call: OperationCall): Promise<Json> {
  const { label } = call.input as { label?: string };
  await gates.get(`${call.run} ${label}`);
  calls.push(call);
  const failure = failures.get(`${call.run} ${label}`)?.shift();
  if (failure !== undefined) throw failure;
  return 'done';
}

function fail(run: RunId, label: string, type: string): void {
  const message = `${label} refused`;
  failures.set(`${run} ${label}`, [
    ApplicationFailure.create({ message, type, nonRetryable: true }),
  ]);
}
const labelsOf = (run: RunId) =>
  calls
    .filter((call) => call.run === run && call.operation === 'act')
    .map(({ input }) => (input as { label: string }).label);
const toldOf = (run: RunId) =>
  calls.filter((call) => call.run === run && call.operation === 'tell').map(({ input }) => input);

let sent = 0;

describe('a park, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/asking-flows.ts', import.meta.url)),
      operations: { 'probe.act': operate, 'probe.tell': operate },
    });
  });
  after(async () => {
    await engine.stop();
  });

  const decide = (run: RunId, fields: Partial<Decision>): Promise<DecisionReceipt> =>
    engine.client.workflow.getHandle(run).executeUpdate<DecisionReceipt, [Decision]>('decide', {
      args: [{ action: 'retry', reason: 'because', actor: 'op', ...fields }],
    });
  const codeOf = (error: unknown): string | undefined =>
    (error as { cause?: { type?: string } }).cause?.type;
  const view = (run: RunId) =>
    engine.client.workflow
      .getHandle(run)
      .query<RunView>('run')
      .catch(() => undefined);
  const opened = (run: RunId, kind: string) =>
    until(`${run} to have an open ${kind}`, async () =>
      (await view(run))?.open.find((open) => open.kind === kind),
    );
  const start = async (flow: string, key: string, park?: Asks['park']): Promise<RunId> => {
    sent += 1;
    const data: Asks = park === undefined ? {} : { park };
    await engine.send(
      flow,
      key,
      testEvent({ id: `event-${sent}`, type: 'access.requested', data }),
    );
    return engine.run(flow, key);
  };
  const ended = async (run: RunId) => (await engine.settled(run, 1)).settlements.at(0);
  const parked = (run: RunId) =>
    until(`${run} parked`, async () => {
      const row = await engine.row(run);
      return row?.status === 'parked' && row.park;
    });
  /** As many signals as one execution takes, none of which brings anything. */
  const grow = async (run: RunId): Promise<void> => {
    const handle = engine.client.workflow.getHandle(run);
    const { runId } = await handle.describe();
    for (let n = 0; n < 52; n += 1) {
      await Promise.all(Array.from({ length: 10 }, () => handle.signal('deliver', [])));
    }
    await until('a new execution', async () => (await handle.describe()).runId !== runId);
  };

  it('goes on as a person decides, with what they gave', async () => {
    const run = await start('parks', 'retry');
    const { parkId, step, errorClass, reason, question } = await parked(run);
    assert.deepEqual(
      [parkId, step, errorClass, reason, question?.kind],
      ['1/park#1/1', 'park#1', 'persistent', 'count the stock', 'park'],
    );
    await decide(run, { action: 'retry', reason: 'counted' });
    assert.deepEqual((await ended(run))?.result, {
      action: 'retry',
      actor: 'op',
      reason: 'counted',
    });
    const skipped = await start('parks', 'skip', { reason: 'odd', errorClass: 'unknown' });
    assert.equal((await parked(skipped)).errorClass, 'unknown');
    await decide(skipped, { action: 'skip', input: { stock: 3 } });
    assert.deepEqual((await ended(skipped))?.result, {
      action: 'skip',
      actor: 'op',
      reason: 'because',
      input: { stock: 3 },
    });
    assert.deepEqual(labelsOf(skipped), ['before', 'skip']);
  });

  it('takes no voice', async () => {
    const run = await start('parks', 'voice');
    await opened(run, 'park');
    await assert.rejects(
      decide(run, { action: 'approve' }),
      (error) => codeOf(error) === 'decision_invalid',
    );
    await decide(run, {});
    await ended(run);
  });

  it('throws run_aborted when a person gives up, and the window ends so when nobody catches it', async () => {
    const run = await start('parks', 'abort');
    await opened(run, 'park');
    await decide(run, { action: 'abort', reason: 'not worth it' });
    const settlement = await ended(run);
    assert.equal(settlement?.outcome, 'aborted');
    assert.match(settlement?.reason ?? '', /not worth it/);
    assert.deepEqual(labelsOf(run), ['before']);
  });

  it('tells people at once and again, with rising numbers', async () => {
    const run = await start('parks', 'told', { reason: 'count it', remindEvery: '1s' });
    await until('three notices', () => toldOf(run).length >= 3);
    await decide(run, {});
    await ended(run);
    assert.deepEqual(toldOf(run).slice(0, 3), [
      { kind: 'ask', number: 1, text: 'count it' },
      { kind: 'reminder', number: 2, text: 'count it' },
      { kind: 'reminder', number: 3, text: 'count it' },
    ]);
  });

  it('throws its error class when nobody decides, and does not ask again after continue-as-new', async () => {
    const run = await start('parksOrNot', 'expired', {
      reason: 'count the stock',
      errorClass: 'transient',
      atMost: '1s',
    });
    await opened(run, 'debounce');
    const expired = await engine.journal.findPark(run, '1/park#1/1');
    assert.equal(expired?.decision?.action, 'expired');
    await grow(run);
    await opened(run, 'debounce');
    await decide(run, { action: 'flush' });
    const result = await engine.client.workflow.getHandle(run).result();
    assert.deepEqual(result, [
      'transient: park#1: nobody decided within 1s: count the stock',
      'flushed',
    ]);
    assert.equal(await engine.journal.findPark(run, '1/park#1/2'), undefined);
  });

  it('keeps to its time through continue-as-new', async () => {
    const run = await start('parksOrNot', 'times', { reason: 'count it', atMost: '8s' });
    const { dueAt } = await opened(run, 'park');
    await grow(run);
    assert.equal((await opened(run, 'park')).dueAt, dueAt);
    await opened(run, 'debounce');
    await decide(run, { action: 'flush' });
    await ended(run);
  });

  it('never says that nothing waits while its run continues as new', async () => {
    for (const flow of ['parks', 'failsOrNot']) {
      const run = engine.run(flow, 'tight');
      fail(run, 'failing', 'persistent');
      await start(flow, 'tight');
      const { parkId } = await parked(run);
      const answers = new Map<string | undefined, number>();
      let isGrown = false;
      const knock = async (): Promise<void> => {
        while (!isGrown) {
          // Refused with decision_invalid by what is parked, with run_not_waiting by nothing.
          await decide(run, { action: 'approve', parkId }).catch((error: unknown) => {
            answers.set(codeOf(error), (answers.get(codeOf(error)) ?? 0) + 1);
          });
        }
      };
      const knocking = Promise.all([knock(), knock(), knock()]);
      await grow(run);
      await opened(run, 'park');
      isGrown = true;
      await knocking;
      assert.equal(answers.get('run_not_waiting'), undefined, flow);
      assert.ok((answers.get('decision_invalid') ?? 0) > 0, flow);
      await decide(run, { parkId });
      if (flow === 'failsOrNot') {
        await opened(run, 'debounce');
        await decide(run, { action: 'flush' });
      }
      assert.equal((await ended(run))?.outcome, 'completed');
    }
  });

  it('does not call again after continue-as-new what failed and was caught', async () => {
    const run = engine.run('failsOrNot', 'caught');
    fail(run, 'failing', 'fatal');
    await start('failsOrNot', 'caught');
    await opened(run, 'debounce');
    await grow(run);
    await opened(run, 'debounce');
    await decide(run, { action: 'flush' });
    const result = await engine.client.workflow.getHandle(run).result();
    assert.deepEqual(result, ['fatal: failing refused', 'flushed']);
    assert.deepEqual(labelsOf(run), ['failing']);
  });

  describe('shows among what is open', () => {
    it('a park, with its error class and when it ends', async () => {
      const run = await start('parks', 'open', { reason: 'count it', atMost: '1h' });
      const { step, standing, state, dueAt } = await opened(run, 'park');
      assert.deepEqual([step, standing], ['park#1', 'count it']);
      assert.equal((state as { errorClass: string }).errorClass, 'persistent');
      assert.ok((dueAt ?? 0) > 0);
      await decide(run, {});
      await ended(run);
    });

    it('a window, with how many events it has', async () => {
      const run = engine.run('failsOrNot', 'open');
      await start('failsOrNot', 'open');
      const { step, standing, state, dueAt } = await opened(run, 'debounce');
      assert.deepEqual([step, standing], ['debounce#1', '1h of quiet, at most 2h; 1 so far']);
      const { count, firstAt } = state as { count: number; firstAt: number };
      assert.deepEqual([count, dueAt], [1, firstAt + 3_600_000]);
      await decide(run, { action: 'flush' });
      await ended(run);
      assert.deepEqual((await view(run))?.open, []);
    });

    it('a quorum, with who has voted', async () => {
      const run = await start('votes', 'open');
      const { step, standing, dueAt } = await opened(run, 'quorum');
      assert.equal(step, 'quorum#1');
      assert.match(standing, /1 yes, 0 no, pending: legal/);
      assert.ok((dueAt ?? 0) > 0);
      await decide(run, { action: 'flush' });
      assert.equal((await ended(run))?.result, 'timedOut');
    });

    it('a saga, with each of its steps', async () => {
      const run = engine.run('orders', 'open');
      let open = (): void => {};
      gates.set(
        `${run} charge`,
        new Promise((resolve) => {
          open = resolve;
        }),
      );
      await start('orders', 'open');
      const { step, standing, state } = await until('both steps', async () => {
        const found = (await view(run))?.open.find(({ kind }) => kind === 'saga');
        return (found?.state as unknown[] | undefined)?.length === 2 && found;
      });
      assert.deepEqual([step, standing], ['saga#1', '2 begun, 0 undone']);
      assert.deepEqual(state, [
        { step: 'saga#1/reserve#1', status: 'done' },
        { step: 'saga#1/charge#1', status: 'begun' },
      ]);
      open();
      await ended(run);
    });
  });
});
