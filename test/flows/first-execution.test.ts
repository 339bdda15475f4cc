import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { temporalDeliver } from '../../src/dispatch/deliver.ts';
import {
  type OpenRunInput,
  type OperationCall,
  type RunInput,
  TASK_QUEUE,
} from '../../src/model/protocol.ts';
import { parseRunId, type RunId } from '../../src/model/run.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

/**
 * Temporal begins a run's first execution only if it knows of none of that run, so nothing of it can be settled
 * and it need not ask. Every later one asks: it may have been begun by a repeat of what is settled.
 */
describe('The first execution of a run', () => {
  const effects: RunId[] = [];
  const asked: RunId[] = [];
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('./fixtures/flows.ts', import.meta.url)),
      operations: {
        'probe.act': async ({ run }: OperationCall) => {
          effects.push(run);
          return { seen: null };
        },
        'probe.other': async () => null,
        'journal.open': (async (input: OpenRunInput) => {
          asked.push(input.run);
          return await engine.journal.activities['journal.open'](input);
        }) as never,
      },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  const of = (run: RunId, list: readonly RunId[]): number =>
    list.filter((one) => one === run).length;
  const ended = (run: RunId): Promise<unknown> => engine.client.workflow.getHandle(run).result();
  const event = (id: string) => testEvent({ id, data: { n: 1 } });

  /** Sends deliveries as a dispatcher does that does not know that they were sent. */
  async function repeat(run: RunId, from: number, ids: readonly string[]): Promise<void> {
    const parts = parseRunId(run);
    assert.ok(parts !== undefined);
    const deliver = temporalDeliver(engine.client, { summaryOf: () => undefined });
    await deliver(
      run,
      parts,
      ids.map((id, index) => ({ number: from + index, event: event(id) })),
    );
  }

  it('does not ask the journal what is settled; the next one does', async () => {
    const run = engine.run('immediate', 'two');
    await engine.send('immediate', 'two', event('two-1'));
    await engine.settled(run, 1);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [1, 0]);
    await engine.send('immediate', 'two', event('two-2'));
    await engine.settled(run, 2);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [2, 1]);
  });

  it('is not begun again by a repeat of the first delivery', async () => {
    const run = engine.run('immediate', 'repeated');
    await engine.send('immediate', 'repeated', event('repeated-1'));
    await engine.settled(run, 1);
    await ended(run);
    await repeat(run, 1, ['repeated-1']);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [1, 1]);
  });

  it('takes a repeat that comes while it is open for what it is', async () => {
    const run = engine.run('immediate', 'open');
    await engine.stopWorker();
    await engine.send('immediate', 'open', event('open-1'));
    await until('the run', async () => (await engine.row(run))?.sentThrough === 1);
    await repeat(run, 1, ['open-1']);
    await engine.startWorker();
    await engine.settled(run, 1);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [1, 0]);
  });

  it('has its first deliveries before those that were signalled until a worker came', async () => {
    const run = engine.run('immediate', 'early');
    await engine.stopWorker();
    for (const number of [1, 2, 3]) {
      await engine.send('immediate', 'early', event(`early-${number}`));
      await until('it to be sent', async () => (await engine.row(run))?.sentThrough === number);
    }
    await engine.startWorker();
    await engine.settled(run, 3);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [3, 0]);
  });

  it('asks when whoever began it was stopped for so long that Temporal may have forgotten another', async () => {
    const begin = async (key: string, askedAt: number): Promise<number> => {
      const run = engine.run('immediate', key);
      const deliveries = [{ number: 1, event: event(key) }];
      const input: RunInput = { run, flow: 'immediate', tenant: 'default', key };
      await engine.client.workflow.execute('immediate', {
        workflowId: run,
        taskQueue: TASK_QUEUE,
        args: [{ ...input, execution: 'first', deliveries, askedAt }],
      });
      return of(run, asked);
    };
    assert.equal(await begin('asked-now', Date.now()), 0);
    assert.equal(await begin('asked-long-ago', Date.now() - 86_400_000), 1);
    assert.equal(await begin('asked-by-a-wrong-clock', Date.now() + 86_400_000), 1);
  });

  it('is a later one where Temporal knows the run from a journal that is no more', async () => {
    const run = engine.run('immediate', 'moved');
    await repeat(run, 1, ['moved-1', 'moved-2']);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [2, 0]);
    await engine.send('immediate', 'moved', event('moved-3'));
    await engine.settled(run, 1);
    await ended(run);
    assert.deepEqual([of(run, effects), of(run, asked)], [3, 1]);
  });
});
