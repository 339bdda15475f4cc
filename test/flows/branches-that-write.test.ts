import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { until } from '../support/wait.ts';

const flowsPath = fileURLToPath(
  new URL('./fixtures/branches-that-write-flows.ts', import.meta.url),
);

describe('branches that write to the journal beside each other, on a real Temporal server', function () {
  this.timeout(60_000);
  let engine: TestEngine;

  before(async () => {
    engine = await startEngine({ flowsPath, operations: { 'probe.act': async () => 'done' } });
  });
  after(async () => {
    await engine.stop();
  });

  // Local activities that end one by one end together in a replay: a worker that had forgotten the run
  // could then not go on with it.
  it('replay as they ran', async () => {
    const run = engine.run('branchesThatWrite', 'replayed');
    await engine.send('branchesThatWrite', 'replayed', testEvent({ id: 'e1', data: { n: 1 } }));
    const handle = engine.client.workflow.getHandle(run);
    const parkIds = await until('both questions', async () => {
      const { open } = await handle.query<{ open: { kind: string }[] }>('run').catch(() => ({
        open: [],
      }));
      const parked = open.filter(({ kind }) => kind === 'park');
      return parked.length === 2 && open.length === 2 && parked;
    });
    for (const _ of parkIds) {
      await handle.executeUpdate('decide', {
        args: [{ action: 'retry', reason: 'counted', actor: 'tester' }],
      });
    }
    await engine.settled(run, 1);
    await Worker.runReplayHistory(
      {
        workflowsPath: flowsPath,
        bundlerOptions: {
          webpackConfigHook: (config) => ({
            ...config,
            resolve: {
              ...config.resolve,
              conditionNames: ['tidegate-source', 'node', 'import', 'default'],
            },
          }),
        },
      },
      await handle.fetchHistory(),
      run,
    );
  });
});
