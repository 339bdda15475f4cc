import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import type { OperationCall, RunView } from '../../src/model/protocol.ts';
import type { RunId } from '../../src/model/run.ts';
import type { Window } from '../../src/workflows/window.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const labels: string[] = [];

async function act(call: OperationCall): Promise<Json> {
  labels.push(`${call.run} ${(call.input as { label: string }).label}`);
  return 'done';
}

let sent = 0;
const ticket = (
  data: { readonly team?: string; readonly state?: string; readonly priority?: 'high' } = {},
  fields: Partial<TidegateEvent> = {},
): TidegateEvent => {
  sent += 1;
  const { data: _, ...attributes } = fields;
  return testEvent({
    id: `event-${sent}`,
    type: 'ticket.changed',
    time: new Date().toISOString(),
    data: { team: 'support', state: 'open', priority: 'low', ...data },
    ...attributes,
  });
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('an aggregate, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/aggregate-flows.ts', import.meta.url)),
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
  const taken = (run: RunId, count: number) =>
    until(`${run} to have taken ${count}`, async () =>
      (await view(run))?.waitingFor?.endsWith(`; ${count} so far`),
    );
  /** What the windows of a run returned, oldest first, with what was settled. */
  const windowsOf = async (run: RunId, deliveries: number) => {
    const row = await engine.settled(run, deliveries);
    return row.settlements.map(({ result, window }) => ({
      window: result as unknown as Window,
      settled: window,
    }));
  };
  const sendAll = async (flow: string, key: string, events: readonly TidegateEvent[]) => {
    for (const event of events) await engine.send(flow, key, event);
  };
  const flush = (run: RunId) =>
    engine.client.workflow.getHandle(run).executeUpdate('decide', {
      args: [{ action: 'flush', reason: 'because', actor: 'tester' }],
    });

  it('closes a period at its boundary on the clock, and opens the next one with what comes then', async () => {
    const run = engine.run('ticking', 'clock');
    const first = ticket();
    await engine.send('ticking', 'clock', first);
    await engine.settled(run, 1);
    const second = ticket();
    await engine.send('ticking', 'clock', second);
    const windows = await windowsOf(run, 2);
    assert.deepEqual(
      windows.map(({ window }) => [window.closedBy, window.count, window.eventIds]),
      [
        ['every', 1, [first.id]],
        ['every', 1, [second.id]],
      ],
    );
    const [one, two] = windows.map(({ window }) => Math.floor(window.firstAt / 2_000));
    assert.ok((one as number) < (two as number));
    for (const { window } of windows) {
      assert.equal(Math.floor(window.firstAt / 2_000), Math.floor(window.lastAt / 2_000));
    }
  });

  it('tells of a window while it is open, and closes it when a person flushes it', async () => {
    const run = engine.run('daily', 'flushed');
    await engine.send('daily', 'flushed', ticket());
    await engine.send('daily', 'flushed', ticket({ team: 'sales' }));
    await taken(run, 2);
    const open = (await view(run))?.open.at(0);
    assert.equal(open?.kind, 'aggregate');
    assert.equal(open.standing, 'every 7d at 09:00, Europe/Paris; 2 so far');
    const due = new Date(open.dueAt as number);
    assert.deepEqual([due.getUTCDay(), due.getUTCMinutes()], [1, 0]);
    assert.ok([7, 8].includes(due.getUTCHours()));
    const { firstAt: _, lastAt: __, ...state } = open.state as Record<string, Json>;
    assert.deepEqual(state, {
      count: 2,
      late: 0,
      groups: 2,
      criticalCount: 0,
      periodEndsAt: open.dueAt as number,
    });
    await flush(run);
    const [closed] = await windowsOf(run, 2);
    assert.equal(closed?.window.closedBy, 'flushed');
    assert.equal(closed.window.count, 2);
  });

  it('summarises its events by group, change, actor and critical event, and settles how it closed', async () => {
    const run = engine.run('counting', 'summary');
    const time = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
    const one = ticket({}, { subject: 't1', actor: 'ana', time: time(1) });
    const two = ticket({ team: 'sales' }, { subject: 't2', actor: 'bo', time: time(2) });
    const three = ticket({ state: 'closed' }, { subject: 't1', actor: 'ana', time: time(3) });
    await sendAll('counting', 'summary', [one, two, three]);
    const [closed] = await windowsOf(run, 3);
    assert.ok(closed);
    const { window, settled } = closed;
    const groups = Object.entries(window.groups).map(([name, { count, status }]) => ({
      name,
      count,
      status,
    }));
    assert.deepEqual(groups, [
      { name: 'support', count: 2, status: 'closed' },
      { name: 'sales', count: 1, status: 'open' },
    ]);
    assert.deepEqual(window.topChanges, [{ field: 'state', from: 'open', to: 'closed', count: 1 }]);
    assert.deepEqual(window.actors, ['ana', 'bo']);
    assert.deepEqual(window.criticals, []);
    assert.deepEqual(window.deliveries, { from: 1, through: 3 });
    assert.deepEqual([window.first.id, window.last.id, window.late], [one.id, three.id, 0]);
    assert.deepEqual(
      { ...settled },
      { count: 3, closedBy: 'count', firstAt: window.firstAt, lastAt: window.lastAt },
    );
  });

  it('closes at once with an urgent event, which is critical', async () => {
    const run = engine.run('counting', 'urgent');
    const urgent = ticket({ priority: 'high' });
    await engine.send('counting', 'urgent', ticket());
    await engine.send('counting', 'urgent', urgent);
    const [closed] = await windowsOf(run, 2);
    assert.deepEqual(
      [closed?.window.closedBy, closed?.window.criticals.map(({ id }) => id)],
      ['urgent', [urgent.id]],
    );
  });

  it('closes a session by its gap', async () => {
    const run = engine.run('session', 'gap');
    await sendAll('session', 'gap', [ticket(), ticket()]);
    const windows = await windowsOf(run, 2);
    assert.deepEqual(
      windows.map(({ window }) => window.closedBy),
      windows.map(() => 'gap'),
    );
    assert.equal(
      windows.reduce((sum, { window }) => sum + window.count, 0),
      2,
    );
  });

  it('closes with the event that completes it, or when its time is over', async () => {
    const run = engine.run('completed', 'until');
    await engine.send('completed', 'until', ticket({ state: 'closed' }));
    await engine.settled(run, 1);
    const other = engine.run('completed', 'both');
    await sendAll('completed', 'both', [ticket(), ticket({ state: 'closed' })]);
    const [alone] = await windowsOf(run, 1);
    const [both] = await windowsOf(other, 2);
    assert.equal(alone?.window.closedBy, 'within');
    assert.deepEqual([both?.window.closedBy, both?.window.count], ['until', 2]);
  });

  it('takes a late event into the period that is over, and leaves the others to the next', async () => {
    const run = engine.run('patient', 'late');
    // Begin early in a period, so that all of the first window is in it.
    await sleep(4_000 - (Date.now() % 4_000) + 50);
    const first = ticket();
    await engine.send('patient', 'late', first);
    await taken(run, 1);
    const endsAt = (Math.floor(Date.now() / 4_000) + 1) * 4_000;
    await sleep(endsAt - Date.now() + 100);
    const punctual = ticket({}, { time: new Date(endsAt + 1).toISOString() });
    const late = ticket({}, { time: new Date(endsAt - 1).toISOString() });
    await sendAll('patient', 'late', [punctual, late]);
    const windows = await windowsOf(run, 3);
    assert.deepEqual(
      windows.map(({ window }) => [window.closedBy, window.eventIds, window.deliveries]),
      [
        ['every', [first.id, late.id], { from: 1, through: 3, except: [[2, 2]] }],
        ['every', [punctual.id], { from: 2, through: 2 }],
      ],
    );
  });

  it('is carried through continue-as-new while it waits for late events', async () => {
    const run = engine.run('lingering', 'long');
    const handle = engine.client.workflow.getHandle(run);
    await sleep(Math.max(0, 15_000 - (Date.now() % 15_000) - 3_000));
    await engine.send('lingering', 'long', ticket({}, { actor: 'ana', subject: 's' }));
    await taken(run, 1);
    const endsAt = ((await view(run))?.open.at(0)?.dueAt as number) - 14_000;
    await sleep(endsAt - Date.now() + 100);
    const { runId: firstRunId } = await handle.describe();
    const own = (number: number): string =>
      new Date(endsAt + (number % 5 === 0 ? 1 : -1)).toISOString();
    // One signal per event, past the signals that one execution takes; each fifth is left.
    for (let number = 2; number <= 520; number += 1) {
      const state = number % 2 === 0 ? 'open' : 'closed';
      const event = ticket({ state }, { time: own(number), actor: 'bo', subject: 's' });
      await handle.signal('deliver', [{ number, event }]);
    }
    await until('a new execution', async () => (await handle.describe()).runId !== firstRunId);
    const [closed] = await windowsOf(run, 1);
    assert.ok(closed);
    const { count, deliveries, actors } = closed.window;
    assert.equal(count, 520 - 104);
    assert.deepEqual([deliveries.from, deliveries.through], [1, 519]);
    assert.equal(deliveries.except?.length, 103);
    assert.deepEqual(actors, ['ana', 'bo']);
    assert.deepEqual(labels.filter((label) => label.startsWith(run)).slice(0, 2), [
      `${run} before`,
      `${run} every`,
    ]);
    await handle.terminate();
  });

  it('reads all of its events from the journal, also those that it does not list', async () => {
    const run = engine.run('reading', 'pages');
    const events = Array.from({ length: 230 }, () => ticket());
    await sendAll('reading', 'pages', events);
    const row = await engine.settled(run, 230);
    const ids = events.map(({ id }) => id);
    assert.deepEqual(row.settlements.at(0)?.result, {
      pages: [ids.slice(0, 90), ids.slice(90, 180), ids.slice(180)],
      listed: 100,
      near: [ids[228]],
    });
  });
});
