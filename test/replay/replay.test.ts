import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { bundleFlows } from '../../src/worker.ts';
import { silent } from '../support/engine.ts';
import { scenarios } from './scenarios.ts';

type Bundle = Awaited<ReturnType<typeof bundleFlows>>;

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const recorded = readdirSync(file('./histories')).sort();

/** As record.ts wrote it. */
const history = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(file(`./histories/${name}`), 'utf8'));

const replay = async (bundle: Bundle, name: string): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle: bundle }, await history(name));

describe('A run that began before this change', () => {
  let bundle: Bundle;
  before(async function () {
    this.timeout(60_000);
    bundle = await bundleFlows(file('./fixtures/flows.ts'), silent);
  });

  for (const name of recorded) {
    // See record.ts for what to do when one fails.
    it(`goes on as it was: ${name.replace('.json', '')}`, () => replay(bundle, name));
  }

  it('does not continue as new earlier than it would have', () => {
    // Temporal's replay finds nothing wrong with that, and drops the signals that came after.
    assert.ok(LIMITS.signalsPerRunMax >= 500);
    assert.ok(LIMITS.historyEventsMax >= 3_000);
  });

  it('is recorded for every scenario', () => {
    const names = new Set(recorded.map((name) => name.replace(/-\d+\.json$/, '')));
    assert.deepEqual([...names].sort(), scenarios.map(({ name }) => name).sort());
  });

  it('is recorded for every flow of the examples', async () => {
    const examples = ['acme', 'hello'].map((name) => file(`../../examples/${name}/flows/index.ts`));
    const flows = await Promise.all(
      examples.map(
        async (path) => flowRegistry((await import(path)) as Record<string, unknown>).flows,
      ),
    );
    const played = new Set(scenarios.map(({ flow }) => flow));
    const missing = flows.flat().filter(({ name }) => !played.has(name));
    assert.deepEqual(missing, []);
  });

  it('is found out to be broken when its flow has one more operation', async function () {
    this.timeout(60_000);
    const changed = await bundleFlows(file('./fixtures/changed-flows.ts'), silent);
    await replay(changed, 'immediate-1.json');
    await assert.rejects(replay(changed, 'park-skip-1.json'), DeterminismViolationError);
  });
});
