import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type {
  Decision,
  DecisionReceipt,
  OperationCall,
  RunView,
} from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import type { ApprovalResult } from '../../src/workflows/primitives/approval.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';
import type { Asks } from './fixtures/asking-flows.ts';

interface Told {
  readonly kind: string;
  readonly number: number;
  readonly approvers: readonly string[];
  readonly text: string;
}
const calls: OperationCall[] = [];
const failures = new Map<string, ApplicationFailure[]>();
const gates = new Map<string, Promise<void>>();

async function operate(call: OperationCall): Promise<Json> {
  await gates.get(call.run);
  const failure = failures.get(`${call.run} ${call.operation}`)?.shift();
  if (failure !== undefined) throw failure;
  calls.push(call);
  return 'done';
}

const fail = (run: RunId, operation: string, type: string, times = 1): void => {
  const failure = () =>
    ApplicationFailure.create({ message: `${operation} refused`, type, nonRetryable: true });
  failures.set(`${run} ${operation}`, Array.from({ length: times }, failure));
};
const labelsOf = (run: RunId) =>
  calls
    .filter((call) => call.run === run && call.operation === 'act')
    .map(({ input }) => (input as { label: string }).label);
const toldOf = (run: RunId) =>
  calls
    .filter((call) => call.run === run && call.operation === 'tell')
    .map(({ input }) => input as unknown as Told);

let sent = 0;
function request(data: Asks = {}): TidegateEvent {
  sent += 1;
  return testEvent({ id: `event-${sent}`, type: 'access.requested', data });
}

describe('an approval, on a real Temporal server', function () {
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
      args: [{ action: 'approve', reason: 'because', actor: 'ana', ...fields }],
    });
  const codeOf = (error: unknown): string | undefined =>
    (error as { cause?: { type?: string } }).cause?.type;
  const refused = (run: RunId, fields: Partial<Decision>, code: string) =>
    assert.rejects(decide(run, fields), (error) => {
      assert.equal(codeOf(error), code, String(error));
      return true;
    });
  const view = (run: RunId) =>
    engine.client.workflow
      .getHandle(run)
      .query<RunView>('run')
      .catch(() => undefined);
  /** The open approval of a run, once its notices are on their way no more. */
  const asking = (run: RunId, step = 'approval#1') =>
    until(`${run} to ask at ${step}`, async () => {
      const found = await view(run);
      const open = found?.open.find((each) => each.step === step);
      return found?.stage === 'parked' && found.open.every(({ kind }) => kind !== 'park') && open;
    });
  const start = async (flow: string, key: string, options?: Asks['approval']): Promise<RunId> => {
    await engine.send(flow, key, request(options === undefined ? {} : { approval: options }));
    return engine.run(flow, key);
  };
  const ended = async (run: RunId) =>
    (await engine.settled(run, 1)).settlements.at(0)?.result as unknown as ApprovalResult;
  const parkIds = async (run: RunId, count: number) => {
    const { open } = (await until(`${count} approvals`, async () => {
      const found = await view(run);
      return found?.open.length === count && found;
    })) as RunView;
    return new Map(open.map(({ step, standing }) => [standing, step]));
  };
  /** As many signals as one execution takes, none of which brings anything. */
  const grow = async (run: RunId): Promise<void> => {
    const handle = engine.client.workflow.getHandle(run);
    const { runId } = await handle.describe();
    for (let n = 0; n < 52; n += 1) {
      await Promise.all(Array.from({ length: 10 }, () => handle.signal('deliver', [])));
    }
    await until('a new execution', async () => (await handle.describe()).runId !== runId);
  };

  it('is approved by two different people, each of whom was told with a link of their own', async () => {
    const run = await start('asks', 'approved');
    await asking(run);
    const [notice] = toldOf(run);
    assert.deepEqual([notice?.kind, notice?.number], ['ask', 1]);
    assert.deepEqual(notice?.approvers, ['ana', 'bo']);
    assert.match(notice?.text ?? '', /^tidegate-link:\S+\/ana\/\S+; tidegate-link:\S+\/bo\/\S+;$/);
    const receipt = await decide(run, { reason: 'she needs it' });
    assert.deepEqual(receipt, { parkId: '1/approval#1/1', action: 'approve' });
    await decide(run, { actor: 'bo', via: 'link' });
    const { status, closedBy, voices, pending, escalated, askedAt, closedAt } = await ended(run);
    assert.deepEqual(
      { status, closedBy, pending, escalated },
      { status: 'approved', closedBy: 'need', pending: [], escalated: false },
    );
    assert.deepEqual(
      voices.map(({ approver, action, reason, via }) => [approver, action, reason, via]),
      [
        ['ana', 'approve', 'she needs it', 'api'],
        ['bo', 'approve', 'because', 'link'],
      ],
    );
    assert.ok(voices.every(({ at }) => at >= askedAt && at <= closedAt));
    assert.deepEqual(labelsOf(run), ['before', 'approved']);
    const park = await engine.journal.findPark(run, receipt.parkId);
    assert.deepEqual(park?.voices, voices);
    assert.equal(park?.decision?.action, 'approve');
  });

  it('counts the same person twice as one, who gets a receipt each time', async () => {
    const run = await start('asks', 'same');
    await asking(run);
    const first = await decide(run, {});
    assert.deepEqual(await decide(run, { reason: 'again' }), first);
    const { state } = await asking(run);
    assert.equal((state as { voices: unknown[] }).voices.length, 1);
    await decide(run, { actor: 'bo' });
    assert.deepEqual(
      (await ended(run)).voices.map(({ approver, reason }) => [approver, reason]),
      [
        ['ana', 'because'],
        ['bo', 'because'],
      ],
    );
  });

  it('is rejected by one, whatever the others have said', async () => {
    const run = await start('asks', 'rejected', {
      title: 'x',
      from: ['ana', 'bo', 'cy'],
      need: 2,
      within: '1h',
    });
    await asking(run);
    await decide(run, {});
    await decide(run, { actor: 'bo', action: 'reject', reason: 'not her team' });
    const { status, closedBy, voices, pending } = await ended(run);
    assert.deepEqual([status, closedBy, pending], ['rejected', 'reject', ['cy']]);
    assert.deepEqual(voices.at(-1)?.reason, 'not her team');
    assert.deepEqual(labelsOf(run), ['before', 'rejected']);
  });

  it('refuses outsiders, the opposite of what one has said, and what is no answer', async () => {
    const run = await start('asks', 'refused');
    await asking(run);
    await decide(run, {});
    await refused(run, { actor: 'eve' }, 'decision_invalid');
    await refused(run, { action: 'reject' }, 'decision_invalid');
    await refused(run, { action: 'retry' }, 'decision_invalid');
    await refused(run, { actor: 'bo', parkId: '1/approval#1/2' }, 'run_not_waiting');
    await refused(run, { actor: 'bo', reason: 7 as never }, 'decision_invalid');
    await decide(run, { actor: 'bo' });
    assert.equal((await ended(run)).voices.length, 2);
  });

  it('times out with what has been said, and takes nothing afterwards', async () => {
    const run = engine.run('asksTwice', 'late');
    const short = { title: 'x', from: ['ana', 'bo'], need: 2, within: '2s' } as const;
    await engine.send('asksTwice', 'late', request({ approval: short }));
    await asking(run);
    await decide(run, {});
    await asking(run, 'approval#2');
    await refused(run, { actor: 'bo', parkId: '1/approval#1/1' }, 'run_not_waiting');
    assert.deepEqual(await ended(run), ['timedOut', 'timedOut']);
    const park = await engine.journal.findPark(run, '1/approval#1/1');
    assert.equal(park?.decision?.action, 'expired');
    assert.deepEqual(
      park?.voices.map(({ approver }) => approver),
      ['ana'],
    );
  });

  it('says when it timed out, and who said nothing', async () => {
    const run = await start('asks', 'timed', { title: 'x', from: ['ana', 'bo'], within: '1500ms' });
    const { status, closedBy, pending, voices, askedAt, closedAt } = await ended(run);
    assert.deepEqual(
      [status, closedBy, pending, voices],
      ['timedOut', 'deadline', ['ana', 'bo'], []],
    );
    assert.ok(closedAt - askedAt >= 1_500);
  });

  it('reminds those who have not decided, with rising numbers, at the price of few events each', async () => {
    const run = await start('asks', 'reminded', {
      title: 'x',
      from: ['ana', 'bo'],
      need: 2,
      within: '1h',
      remindEvery: '1s',
    });
    await until('two notices', () => toldOf(run).length === 2);
    await decide(run, {});
    await until('four notices', () => toldOf(run).length >= 4);
    await asking(run);
    const { events } = await engine.client.workflow.getHandle(run).fetchHistory();
    await decide(run, { actor: 'bo' });
    await ended(run);
    const told = toldOf(run);
    assert.deepEqual(
      told.slice(0, 4).map(({ kind, number }) => [kind, number]),
      [
        ['ask', 1],
        ['reminder', 2],
        ['reminder', 3],
        ['reminder', 4],
      ],
    );
    assert.deepEqual(told.at(1)?.approvers, ['ana', 'bo']);
    assert.deepEqual(told.at(3)?.approvers, ['bo']);
    // Per reminder: its timer (started, fired), the timer that waits on while it is sent (started,
    // cancelled), the call (3), two stages, and two workflow tasks (3 each): 15.
    const fired = (events ?? []).flatMap((event, index) =>
      event.timerFiredEventAttributes ? [index] : [],
    );
    const [from = 0, to = 0] = fired.slice(-2);
    assert.ok(to - from <= 15, `${to - from} events for a reminder`);
  });

  it('escalates to others, who can decide from then on and not before', async () => {
    const run = await start('asks', 'escalated', {
      title: 'x',
      from: ['ana'],
      need: 1,
      within: '1h',
      escalateAfter: '2s',
      escalateTo: ['cto'],
    });
    const before = await asking(run);
    assert.deepEqual((before.state as { approvers: unknown }).approvers, ['ana']);
    await refused(run, { actor: 'cto' }, 'decision_invalid');
    await until('the escalation', () => toldOf(run).at(1));
    assert.deepEqual(
      toldOf(run).map(({ kind, number, approvers }) => [kind, number, approvers]),
      [
        ['ask', 1, ['ana']],
        ['escalation', 2, ['ana', 'cto']],
      ],
    );
    const park = await engine.journal.findPark(run, '1/approval#1/1');
    assert.deepEqual(park?.question?.approvers, ['ana', 'cto']);
    await decide(run, { actor: 'cto' });
    const { status, escalated, pending } = await ended(run);
    assert.deepEqual([status, escalated, pending], ['approved', true, ['ana']]);
  });

  it('does not mind that nobody could be told', async () => {
    const run = engine.run('asks', 'untold');
    fail(run, 'tell', 'fatal');
    await start('asks', 'untold');
    await asking(run);
    await decide(run, {});
    await decide(run, { actor: 'bo' });
    assert.equal((await ended(run)).status, 'approved');
    assert.deepEqual(toldOf(run), []);
  });

  it('is not held up by a notice that waits for a person itself, whose question ends with it', async () => {
    const run = engine.run('asks', 'stuck');
    fail(run, 'tell', 'persistent');
    await start('asks', 'stuck', {
      title: 'x',
      from: ['ana'],
      need: 1,
      within: '1h',
      remindEvery: '1s',
    });
    const step = 'approval#1/notice 1/probe.tell#1';
    await until('the notice to be parked', async () =>
      (await view(run))?.open.some((open) => open.step === step && open.kind === 'park'),
    );
    const parkId = `1/${step}/2`;
    await until('its park in the journal', () => engine.journal.findPark(run, parkId));
    // What would remind waits for the one before it, and is left out.
    await until('two reminders to be due', async () => {
      const { events } = await engine.client.workflow.getHandle(run).fetchHistory();
      return (events ?? []).filter((event) => event.timerFiredEventAttributes).length >= 2;
    });
    await decide(run, {});
    assert.equal((await ended(run)).status, 'approved');
    assert.deepEqual(toldOf(run), []);
    const park = await engine.journal.findPark(run, parkId);
    assert.deepEqual([park?.decision?.action, park?.decision?.actor], ['abort', 'tidegate']);
  });

  it('sends what is due next once a person has helped a notice', async () => {
    const run = engine.run('asks', 'helped');
    fail(run, 'tell', 'persistent');
    await start('asks', 'helped', {
      title: 'x',
      from: ['ana'],
      need: 1,
      within: '1h',
      remindEvery: '1s',
    });
    const parkId = '1/approval#1/notice 1/probe.tell#1/2';
    await until('its park in the journal', () => engine.journal.findPark(run, parkId));
    await until('two reminders to be due', async () => {
      const { events } = await engine.client.workflow.getHandle(run).fetchHistory();
      return (events ?? []).filter((event) => event.timerFiredEventAttributes).length >= 2;
    });
    await decide(run, { action: 'retry', actor: 'op', parkId });
    await until('a reminder', () => toldOf(run).length >= 2);
    const [first, second] = toldOf(run);
    assert.deepEqual([first?.kind, first?.number, second?.kind], ['ask', 1, 'reminder']);
    assert.ok((second?.number ?? 0) > 3, `number ${second?.number}`);
    await decide(run, {});
    await ended(run);
  });

  it('fails the workflow task for a bug in notify, and asks on with a fixed build', async () => {
    const run = await start('asksBadly', 'bug');
    const handle = engine.client.workflow.getHandle(run);
    await until('the task to fail', async () => {
      const { events } = await handle.fetchHistory().catch(() => ({ events: [] }));
      return events?.some(({ workflowTaskFailedEventAttributes: failed }) =>
        failed?.failure?.message?.includes('a bug in notify'),
      );
    });
    const before = await engine.journal.findPark(run, '1/approval#1/1');
    assert.equal(
      before?.decision,
      undefined,
      'the attempt that failed has taken its question back',
    );
    await engine.stopWorker();
    const fixed = await Worker.create({
      connection: engine.env.nativeConnection,
      taskQueue: 'tidegate',
      workflowBundle: await bundleWorkflowCode({
        workflowsPath: fileURLToPath(new URL('./fixtures/mended-flows.ts', import.meta.url)),
        logger: new DefaultLogger('ERROR'),
        webpackConfigHook: (config) => ({
          ...config,
          resolve: {
            ...config.resolve,
            conditionNames: ['tidegate-source', 'node', 'import', 'default'],
          },
        }),
      }),
      activities: engine.journal.activities,
    });
    await fixed.runUntil(async () => {
      await until(
        'the fixed build to ask',
        async () => (await view(run))?.stage === 'parked',
        40_000,
      );
      await decide(run, {});
      await decide(run, { actor: 'bo' });
      assert.equal((await ended(run)).status, 'approved');
    });
    await engine.startWorker();
    const after = await engine.journal.findPark(run, '1/approval#1/1');
    assert.equal(after?.decision?.action, 'approve');
  });

  it('throws run_aborted to the flow when an operator aborts', async () => {
    const run = await start('asksAnyway', 'aborted');
    await asking(run);
    await decide(run, { action: 'abort', actor: 'op', reason: 'she has left' });
    const result = await ended(run);
    assert.match(String(result), /^run_aborted: approval#1 was aborted: she has left/);
  });

  it('ends the window as aborted when the flow does not catch that', async () => {
    const run = await start('asks', 'given up');
    await asking(run);
    await decide(run, { action: 'abort', actor: 'op' });
    const row = await engine.settled(run, 1);
    assert.equal(row.settlements.at(0)?.outcome, 'aborted');
    assert.deepEqual(labelsOf(run), ['before']);
  });

  it('keeps a voice while no worker runs', async () => {
    const run = await start('asks', 'stopped');
    await asking(run);
    await decide(run, {});
    await engine.stopWorker();
    await engine.startWorker();
    await decide(run, { actor: 'bo' });
    const { status, voices } = await ended(run);
    assert.deepEqual([status, voices.length], ['approved', 2]);
    assert.equal(toldOf(run).length, 1);
  });

  it('is carried through continue-as-new: asks nothing again, and what was said counts', async () => {
    const options = {
      title: 'x',
      from: ['ana', 'bo'],
      need: 2,
      within: '1h',
      remindEvery: '1s',
    } as const;
    const run = await start('asks', 'long', options);
    await until('two reminders', () => toldOf(run).length >= 3);
    await decide(run, {});
    await grow(run);
    await asking(run);
    const handle = engine.client.workflow.getHandle(run);
    const { events } = await handle.fetchHistory();
    const input = events?.at(0)?.workflowExecutionStartedEventAttributes?.input?.payloads?.at(0);
    const { carried } = JSON.parse(Buffer.from(input?.data ?? []).toString());
    // What the notices were is gone, however many there were.
    assert.deepEqual(Object.keys(carried.window.steps), ['probe.act#1']);
    assert.equal(carried.window.waiting.state.memory.told, 1);
    const { state } = await asking(run);
    assert.deepEqual(
      (state as { voices: { approver: string }[] }).voices.map(({ approver }) => approver),
      ['ana'],
    );
    assert.deepEqual(await decide(run, { reason: 'again' }), {
      parkId: '1/approval#1/1',
      action: 'approve',
    });
    await refused(run, { action: 'reject' }, 'decision_invalid');
    await decide(run, { actor: 'bo' });
    const { status, voices } = (await handle.result()) as ApprovalResult;
    assert.deepEqual([status, voices.length], ['approved', 2]);
    assert.deepEqual(labelsOf(run), ['before', 'approved']);
    const told = toldOf(run);
    assert.equal(told.filter(({ kind }) => kind === 'ask').length, 1);
    assert.deepEqual(
      told.map(({ number }) => number),
      told.map((_, index) => index + 1),
    );
  });

  it('still tells people when its run has grown before it asks', async () => {
    const run = engine.run('asks', 'grown');
    let open = (): void => {};
    gates.set(run, new Promise((resolve) => (open = resolve)));
    await start('asks', 'grown');
    const handle = engine.client.workflow.getHandle(run);
    await until('the run', () => handle.describe().catch(() => undefined));
    const { runId } = await handle.describe();
    for (let n = 0; n < 52; n += 1) {
      await Promise.all(Array.from({ length: 10 }, () => handle.signal('deliver', [])));
    }
    open();
    await until('a new execution', async () => (await handle.describe()).runId !== runId);
    await asking(run);
    assert.equal(toldOf(run).length, 1);
    await decide(run, {});
    await decide(run, { actor: 'bo' });
    await ended(run);
  });

  it('never says that nothing waits while it continues as new', async () => {
    const run = await start('asks', 'tight');
    await asking(run);
    const answers = new Map<string | undefined, number>();
    let isGrown = false;
    const knock = async (): Promise<void> => {
      while (!isGrown) {
        // An outsider's: refused with decision_invalid by an approval, with run_not_waiting by none.
        await decide(run, { actor: 'eve' }).catch((error: unknown) => {
          answers.set(codeOf(error) ?? String(error), (answers.get(codeOf(error)) ?? 0) + 1);
        });
      }
    };
    const knocking = Promise.all([knock(), knock(), knock()]);
    await grow(run);
    await asking(run);
    isGrown = true;
    await knocking;
    assert.equal(answers.get('run_not_waiting'), undefined);
    assert.ok((answers.get('decision_invalid') ?? 0) > 0);
    await decide(run, {});
    await decide(run, { actor: 'bo' });
    await ended(run);
  });

  it('is over when its run is cancelled from outside', async () => {
    const run = await start('asks', 'cancelled');
    await asking(run);
    await engine.client.workflow.getHandle(run).cancel();
    const row = await engine.settled(run, 1);
    assert.equal(row.settlements.at(0)?.outcome, 'cancelled');
    const park = await engine.journal.findPark(run, '1/approval#1/1');
    assert.equal(park?.decision, undefined);
    assert.notEqual(park?.closedAt, undefined);
    assert.deepEqual(labelsOf(run), ['before']);
  });

  it('is told apart from the one before it', async () => {
    const run = await start('asksTwice', 'two');
    await asking(run);
    for (const actor of ['ana', 'bo']) await decide(run, { actor, parkId: '1/approval#1/1' });
    await asking(run, 'approval#2');
    await refused(run, { parkId: '1/approval#1/1' }, 'run_not_waiting');
    await decide(run, { parkId: '1/approval#2/2' });
    await decide(run, { actor: 'bo', action: 'reject', parkId: '1/approval#2/2' });
    assert.deepEqual(await ended(run), ['approved', 'rejected']);
  });

  it('is told apart from those beside it, whose notices may all be stuck', async () => {
    const run = engine.run('asksBeside', 'beside');
    fail(run, 'tell', 'persistent', 3);
    await start('asksBeside', 'beside');
    await parkIds(run, 6);
    const idOf = async (branch: string, below = '') => {
      const parks = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((n) =>
          engine.journal.findPark(run, `1/fanOut#1/${branch}/approval#1${below}/${n}`),
        ),
      );
      return parks.find((park) => park !== undefined)?.parkId;
    };
    const [one, two, three] = await Promise.all([idOf('one'), idOf('two'), idOf('three')]);
    assert.equal(new Set([one, two, three]).size, 3);
    await decide(run, { parkId: one as string });
    await decide(run, { parkId: two as string });
    // Both end in one workflow task, and each takes back what its notice asks.
    await engine.stopWorker();
    const last = Promise.all([
      decide(run, { actor: 'bo', parkId: one as string }),
      decide(run, { actor: 'bo', parkId: two as string, action: 'reject' }),
    ]);
    await sleep(500);
    await engine.startWorker();
    await last;
    const left = await until('one to be open', async () => {
      const found = await view(run);
      return found?.open.length === 2 && found.open;
    });
    assert.deepEqual(left.map(({ step }) => step).toSorted(), [
      'fanOut#1/three/approval#1',
      'fanOut#1/three/approval#1/notice 1/probe.tell#1',
    ]);
    const notice = await idOf('three', '/notice 1/probe.tell#1');
    await decide(run, { action: 'retry', actor: 'op', parkId: notice as string });
    await until('the third to be told', () => toldOf(run).length === 1);
    await decide(run, { parkId: three as string });
    await decide(run, { actor: 'bo', parkId: three as string });
    assert.deepEqual(await ended(run), ['approved', 'rejected', 'approved']);
  });

  it('shows how it stands while it is open', async () => {
    const run = await start('asks', 'shown');
    await asking(run);
    await decide(run, { reason: 'because she is new' });
    const open = await until('the voice', async () => {
      const found = await asking(run);
      return (found.state as { voices?: unknown }).voices !== undefined && found;
    });
    const { step, kind, standing, dueAt, state } = open;
    assert.deepEqual(
      [step, kind, standing],
      ['approval#1', 'approval', 'approval of Access to billing'],
    );
    const { voices, ...rest } = state as { voices: { at: number }[] };
    assert.deepEqual(rest, { approvers: ['ana', 'bo'], need: 2 });
    assert.deepEqual(voices, [{ approver: 'ana', action: 'approve', at: voices.at(0)?.at }]);
    assert.ok((dueAt ?? 0) > (voices.at(0)?.at ?? Number.NaN));
    assert.match(
      (await view(run))?.waitingFor ?? '',
      /2 of ana, bo must approve: Access to billing/,
    );
    await decide(run, { actor: 'bo' });
    await ended(run);
  });
});
