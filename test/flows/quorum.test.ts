import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { OperationCall, RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import type { QuorumResult } from '../../src/workflows/primitives/quorum.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const labels: string[] = [];
let gate: Promise<void> = Promise.resolve();

async function act(call: OperationCall): Promise<Json> {
  await gate;
  labels.push(`${call.run} ${(call.input as { label: string }).label}`);
  return 'done';
}

let sent = 0;
const id = (): string => {
  sent += 1;
  return `event-${sent}`;
};
const signed = (): TidegateEvent =>
  testEvent({ id: id(), type: 'customer.signed', data: { plan: 'pro' } });
const check = (name: string, passed: boolean): TidegateEvent =>
  testEvent({ id: id(), type: 'check.finished', data: { check: name, passed } });

describe('a quorum, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/quorum-flows.ts', import.meta.url)),
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
  const waitingFor = (run: RunId, text: string) =>
    until(`${run} to wait for ${text}`, async () => (await view(run))?.waitingFor?.includes(text));
  const resultOf = async (run: RunId, deliveries: number) => {
    const row = await engine.settled(run, deliveries);
    return {
      settlement: row.settlements.at(0),
      result: row.settlements.at(0)?.result as unknown as QuorumResult,
    };
  };

  it('is reached as soon as the needed votes are in, without an optional branch', async () => {
    const run = engine.run('onboarding', 'reached');
    await engine.send('onboarding', 'reached', signed());
    await waitingFor(run, '2 yes within 1h; 0 yes, 0 no, pending: identity, crm');
    await engine.send('onboarding', 'reached', check('identity', true));
    await waitingFor(run, '1 yes, 0 no, pending: crm');
    await engine.send('onboarding', 'reached', check('crm', true));
    const { result, settlement } = await resultOf(run, 3);
    const { status, closedBy, yes, no, pending, ignored } = result;
    assert.deepEqual(
      { status, closedBy, yes, no, pending, ignored },
      { status: 'reached', closedBy: 'need', yes: 2, no: 0, pending: [], ignored: 1 },
    );
    assert.equal(settlement?.window?.count, 3);
    assert.equal(settlement?.window?.closedBy, 'need');
  });

  it('is refused by the first no that need cannot do without, and leaves later votes to the next window', async () => {
    const run = engine.run('onboarding', 'refused');
    const no = check('crm', false);
    await engine.send('onboarding', 'refused', no);
    const { result } = await resultOf(run, 1);
    const { status, closedBy, votes } = result;
    assert.deepEqual([status, closedBy], ['refused', 'no']);
    assert.deepEqual(
      votes.map(({ voter, eventId }) => [voter, eventId]),
      [['crm', no.id]],
    );
    await engine.send('onboarding', 'refused', check('identity', true));
    await engine.send('onboarding', 'refused', check('crm', false));
    const row = await engine.settled(run, 3);
    const next = row.settlements.map((settlement) => settlement.result as unknown as QuorumResult);
    assert.deepEqual(
      next.map((each) => each.votes.map(({ voter }) => voter)),
      [['crm'], ['identity', 'crm']],
    );
  });

  it('times out at its deadline with what has been said', async () => {
    const run = engine.run('hasty', 'late');
    await engine.send('hasty', 'late', check('identity', true));
    const { result } = await resultOf(run, 1);
    const { status, closedBy, yes, pending, openedAt, closedAt } = result;
    assert.deepEqual([status, closedBy, yes, pending], ['timedOut', 'deadline', 1, ['crm']]);
    assert.ok(closedAt - openedAt >= 400);
  });

  it('times out as it stands when a person flushes it', async () => {
    const run = engine.run('onboarding', 'flushed');
    await engine.send('onboarding', 'flushed', check('identity', true));
    await waitingFor(run, '1 yes');
    await engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ action: 'flush', reason: 'because', actor: 'tester' }],
    });
    const { result } = await resultOf(run, 1);
    const { status, closedBy, yes } = result;
    assert.deepEqual([status, closedBy, yes], ['timedOut', 'flushed', 1]);
  });

  it('counts the votes that came before it began to wait', async () => {
    const run = engine.run('prepared', 'early');
    let open = (): void => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await engine.send('prepared', 'early', signed());
    await engine.send('prepared', 'early', check('identity', true));
    await engine.send('prepared', 'early', check('crm', true));
    await until('both votes in the inbox', async () => (await view(run))?.inboxCount === 2);
    open();
    const { result } = await resultOf(run, 3);
    assert.deepEqual(result, ['identity', 'crm']);
  });

  it('counts a vote once when a body has two quorums', async () => {
    const run = engine.run('rounds', 'two');
    const events = [check('identity', true), check('crm', true), check('identity', true)];
    for (const event of events) await engine.send('rounds', 'two', event);
    const { result } = await resultOf(run, 3);
    const [one, second, third] = events.map((event) => event.id);
    assert.deepEqual(result, [[one], [second, third]]);
  });

  it('is carried through continue-as-new with its votes and repeats no finished step', async () => {
    const run = engine.run('prepared', 'long');
    const handle = engine.client.workflow.getHandle(run);
    await engine.send('prepared', 'long', check('identity', true));
    await waitingFor(run, '1 yes');
    const { runId: firstRunId } = await handle.describe();
    // One signal per event, past the signals that one execution takes.
    for (let n = 2; n <= 520; n += 1) {
      await handle.signal('deliver', [{ number: n, event: check('stranger', false) }]);
    }
    await until('a new execution', async () => (await handle.describe()).runId !== firstRunId);
    await waitingFor(run, '1 yes, 0 no, pending: crm');
    await handle.signal('deliver', [{ number: 521, event: check('crm', true) }]);
    assert.deepEqual(await handle.result(), ['identity', 'crm']);
    assert.deepEqual(
      labels.filter((label) => label.startsWith(run)),
      [`${run} before`, `${run} reached`],
    );
  });
});
