import assert from 'node:assert/strict';
import { Client } from '@temporalio/client';
import type { DeadLetter } from '../../src/journal/dead-letters.ts';
import type { RoutedDelivery } from '../../src/journal/deliveries.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { Paged } from '../../src/journal/rows.ts';
import { DEFAULT_FUSE, type FlowHead, flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId } from '../../src/model/run.ts';
import { temporalRunOperations } from '../../src/operator/run-operations.ts';
import type { Trace } from '../../src/operator/trace.ts';
import { createLogger } from '../../src/telemetry.ts';
import { lazyConnection, localTemporal } from '../../src/temporal.ts';
import { testEvent } from '../support/events.ts';
import { assertProblem, type OperatorServer, startOperator } from './fixtures/server.ts';

const flow = (head: FlowHead) => Object.assign(async () => undefined, { head });
const FUSE = { limit: 1, perMs: 60_000 };

describe('the loop guard in the operator API', () => {
  const connection = lazyConnection(localTemporal(1));
  let journal: Journal;
  let server: OperatorServer;

  before(async function () {
    this.timeout(60_000);
    journal = await openJournal({});
    server = await startOperator({
      journal,
      flows: flowRegistry({
        orderSync: flow({ on: ['order.changed'], origin: ['human'], fuse: FUSE }),
        crmSync: flow({ on: ['contact.changed'], fuse: false }),
        plain: flow({ on: ['contact.changed'] }),
      }),
      connectors: [],
      runs: temporalRunOperations(new Client({ connection })),
      namespace: 'default',
      logger: createLogger({ level: 'silent' }),
    });
  });
  after(async () => {
    await server?.stop();
    await journal?.close();
    await connection.close();
  });

  const target = (name: string): RoutedDelivery => ({
    flow: name,
    key: '7',
    run: makeRunId({ flow: name, tenant: 'default', key: '7' }),
    fuse: FUSE,
  });

  it('tells by which runs a story went in a circle', async () => {
    const story = { correlationid: 'story-1', tenantid: 'default', data: {} };
    const first = testEvent({ ...story, id: 'e1' });
    const second = testEvent({
      ...story,
      id: 'e2',
      causationid: 'e1',
      source: 'tidegate/orderSync',
    });
    const third = testEvent({ ...story, id: 'e3', causationid: 'e2', source: 'tidegate/crmSync' });
    const reason = 'runs_in_circles: orderSync(7) → crmSync(7) → orderSync(7)';
    await journal.append([
      { event: first, status: 'accepted', deliveries: [target('orderSync')] },
      { event: second, status: 'accepted', deliveries: [target('crmSync')] },
      { event: third, status: 'looped', reason, deliveries: [] },
    ]);
    const { body } = await server.call<Trace>('/trace/story-1');
    assert.deepEqual(body.chains, ['orderSync(7) → crmSync(7)']);
    assert.ok(
      body.steps.some(({ text }) =>
        text.includes(
          `e3 came from tidegate/crmSync and was kept, but goes to no flow: its story runs in a circle (${reason})`,
        ),
      ),
    );
  });

  it('shows a fuse that has tripped, and lets the run go on when an operator says so', async () => {
    const { run } = target('orderSync');
    await journal.append([
      {
        event: testEvent({ id: 'e4', data: {} }),
        status: 'accepted',
        deliveries: [target('orderSync')],
      },
    ]);
    const [last] = await journal.findEvents('default', 'e3');
    assert.ok(last);
    await journal.tripFuses([{ run, fuse: FUSE, event: last.event }]);

    const letters = await server.call<Paged<DeadLetter>>('/dead-letters?kind=fused');
    const [letter] = letters.body.rows;
    assert.ok(letter?.kind === 'fused');
    assert.deepEqual(
      [letter.run, letter.chain, letter.eventId, letter.held],
      [run, 'orderSync(7) → crmSync(7) → orderSync(7)', 'e3', 2],
    );
    const trace = await server.call<Trace>('/trace/story-1');
    assert.ok(
      trace.body.steps.some(
        ({ what, text }) => what === 'fused' && text.includes('2 deliveries are held'),
      ),
    );

    const path = `/runs/${encodeURIComponent(run)}/decisions`;
    const resume = { action: 'resume', reason: 'the loop is mended' };
    assertProblem(
      await server.call(path, { body: { ...resume, reason: '' } }),
      422,
      'decision_invalid',
    );
    assertProblem(
      await server.call(path, { body: { ...resume, parkId: 'p' } }),
      422,
      'decision_invalid',
    );
    for (const _ of ['first', 'again']) {
      const answer = await server.call(path, { body: resume, headers: { 'x-actor': 'maria' } });
      assert.deepEqual([answer.status, answer.body], [200, { run, action: 'resume' }]);
    }
    assert.deepEqual(
      (await server.call<Paged<DeadLetter>>('/dead-letters?kind=fused')).body.rows,
      [],
    );
    const other = await server.call(path, { body: resume, headers: { 'x-actor': 'bo' } });
    assertProblem(other, 409, 'run_not_waiting');
  });

  it('lists what each flow takes and allows', async () => {
    const { body } = await server.call<{
      readonly rows: readonly {
        readonly name: string;
        readonly fuse: unknown;
        readonly origin?: unknown;
      }[];
    }>('/flows');
    assert.deepEqual(
      body.rows.map(({ name, fuse, origin }) => [name, fuse, origin]),
      [
        ['orderSync', { limit: 1, per: '1m' }, ['human']],
        ['crmSync', false, undefined],
        ['plain', { limit: LIMITS.fuseDeliveries, per: '1h' }, undefined],
      ],
    );
    assert.equal(DEFAULT_FUSE.perMs, LIMITS.fuseMs);
  });
});
