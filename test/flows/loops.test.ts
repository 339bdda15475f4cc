import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ingest } from '../../src/ingress/pipeline.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { chainsOf } from '../../src/operator/chains.ts';
import { traceOf } from '../../src/operator/trace.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { until } from '../support/wait.ts';
import { events } from './fixtures/loop-events.ts';

describe('loops of flows, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;
  let send: (type: string, data: object, attributes?: object) => Promise<void>;

  before(async () => {
    const flowsPath = fileURLToPath(new URL('./fixtures/loop-flows.ts', import.meta.url));
    engine = await startEngine({ flowsPath, operations: {}, catalogue: events });
    const flows = flowRegistry(await import(flowsPath));
    const { journal, offer } = engine;
    const context = { journal, flows, catalogue: events, onAppended: offer, now: () => new Date() };
    let count = 0;
    send = async (type, data, attributes = {}) => {
      count += 1;
      const id = `event-${count}`;
      const said = { specversion: '1.0', id, source: 'test', type, ...attributes };
      const candidate = {
        kind: 'candidate',
        attributes: said,
        data: data as never,
        requestBytes: 100,
      } as const;
      await ingest({ answersFor: 'several events', candidates: [candidate] }, context as never);
    };
  });
  after(async () => {
    await engine.stop();
  });

  const storyOf = async (correlationId: string) =>
    (await engine.journal.listEvents({ correlationId }, { limit: 500 })).rows.toReversed();
  const circleEnded = (correlationId: string) =>
    until(`the story ${correlationId} to end`, async () => {
      const story = await storyOf(correlationId);
      const isSettled = story.every(({ deliveries }) =>
        deliveries.every(({ state }) => state === 'settled'),
      );
      return isSettled && story.at(-1)?.reason?.startsWith('runs_in_circles') && story;
    });

  it('ends two flows that cause each other, and says by which runs', async () => {
    await send('order.changed', { key: '7' }, { correlationid: 'loop', origin: 'human' });
    const story = await circleEnded('loop');
    const last = story.at(-1);
    assert.ok(last);
    assert.ok(last.event.hops <= LIMITS.hopsMax, String(last.event.hops));
    assert.equal(story.length, 2 * LIMITS.runVisitsMax + 1);
    const chain = Array.from({ length: LIMITS.runVisitsMax }, () => 'orderSync(7) → crmSync(7)');
    const whole = `${chain.join(' → ')} → orderSync(7)`;
    assert.equal(
      last.reason,
      `runs_in_circles: it is not given to orderSync(7), which its story has been at 3 times: ${whole}; not wanted by ask, notice (takes events of origin human only, and this is of tidegate:crmSync)`,
    );
    assert.equal(last.status, 'looped');
    assert.deepEqual(last.deliveries, []);
    const told = chainsOf(story);
    assert.ok(told.includes(chain.join(' → ')), told.join('\n'));
    const rows = await Promise.all([engine.row(engine.run('orderSync', '7'))]);
    const steps = traceOf(
      story,
      rows.filter((row) => row !== undefined),
    );
    assert.ok(steps.some(({ text }) => text.includes(whole)));
  });

  it('gives the event of a circle to flows that are no part of it', async () => {
    await send('contact.changed', { key: '8' }, { correlationid: 'seen' });
    const story = await circleEnded('seen');
    const last = story.at(-1);
    assert.equal(last?.status, 'accepted');
    assert.deepEqual(
      last?.deliveries.map(({ flow }) => flow),
      ['audit'],
    );
  });

  it('gives people’s events only to flows that ask for these', async () => {
    const [first] = await storyOf('loop');
    assert.deepEqual(
      first?.deliveries.map(({ flow }) => flow),
      ['notice', 'orderSync'],
    );
    assert.equal(first?.reason, 'not wanted by ask');
  });

  it('lets a flow be asked and answer', async () => {
    const attributes = { correlationid: 'asked', origin: 'human' };
    await send('question.asked', { key: 'q1' }, attributes);
    const story = await until('the answer', async () => {
      const rows = await storyOf('asked');
      return rows.length === 2 && rows;
    });
    assert.ok(story.every(({ status }) => status === 'accepted'));
    assert.deepEqual(chainsOf(story), ['answer(q1) → ask(q1)']);
  });

  it('holds a run that flows give too much, in order, until an operator resumes it', async () => {
    const run = engine.run('basin', 'b1');
    await send('page.sprayed', { key: 'b1', times: 6 }, { correlationid: 'sprayed' });
    const letter = await until('the fuse to trip', async () => {
      const { rows } = await engine.journal.listDeadLetters({});
      return rows.find((row) => row.kind === 'fused');
    });
    assert.equal(letter.run, run);
    assert.deepEqual([letter.count, letter.fuse.limit], [4, 3]);
    assert.match(letter.chain, /^spray\(test\/event-\d+\) → basin\(b1\)$/);
    await until('all drops', async () => (await engine.row(run))?.acceptedThrough === 6);
    // People's events wait behind the others: they are of the same run.
    await send('drop.fell', { key: 'b1', n: 7 }, { origin: 'human' });
    const held = await engine.settled(run, 3);
    // Longer than the dispatcher takes to look into the journal.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal((await engine.row(run))?.sentThrough, 3);
    assert.ok(held.fuseTrippedAt);

    assert.equal(await engine.journal.resetFuse(run, { actor: 'ana', reason: 'mended' }), true);
    const { settlements } = await engine.settled(run, 7);
    assert.deepEqual(
      settlements.map(({ result }) => result),
      [1, 2, 3, 4, 5, 6, 7],
    );
  });
});
