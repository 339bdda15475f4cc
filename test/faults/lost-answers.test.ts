import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Json } from '../../src/model/event.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { testEvent } from '../support/events.ts';
import { seededRandom } from '../support/random.ts';

const EVENTS = 120;
const KEYS = 6;
const FLOWS = ['immediate', 'trailing', 'both'] as const;

describe('calls to Temporal whose answers are lost', () => {
  const seed = Number(process.env.TIDEGATE_TEST_SEED ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const effects: OperationCall[] = [];
  let answered = 0;
  let lost = 0;
  let engine: TestEngine;

  before(async function () {
    this.timeout(60_000);
    const operate = async (call: OperationCall): Promise<Json> => {
      effects.push(call);
      const { label } = call.input as { label: string };
      return call.operation === 'act' ? { seen: label } : label;
    };
    engine = await startEngine({
      flowsPath: fileURLToPath(new URL('../flows/fixtures/flows.ts', import.meta.url)),
      operations: { 'probe.act': operate, 'probe.other': operate },
      faulty: (deliver) => async (run, parts, batch) => {
        if (random() < 0.15) throw new Error('connection refused');
        await deliver(run, parts, batch);
        answered += 1;
        if (answered % 3 === 0) return;
        lost += 1;
        // Sometimes the run has ended before its events are sent again.
        if (random() < 0.5) await sleep(random() * 1_200);
        throw new Error('the answer was lost');
      },
    });
  });
  after(async function () {
    this.timeout(30_000);
    await engine.stop();
  });

  it(`start nothing twice and lose nothing (seed ${seed})`, async function () {
    this.timeout(120_000);
    const sent = new Map<string, number>();
    for (let n = 0; n < EVENTS; n += 1) {
      const flow = FLOWS[n % FLOWS.length] ?? 'immediate';
      const key = `key-${Math.floor(random() * KEYS)}`;
      await engine.send(flow, key, testEvent({ id: `e${n}`, data: { n } }));
      const run = engine.run(flow, key);
      sent.set(run, (sent.get(run) ?? 0) + 1);
      await sleep(random() * 40);
    }
    let windowed = 0;
    for (const [run, count] of sent) {
      const row = await engine.settled(run as ReturnType<typeof engine.run>, count);
      assert.equal(row.settledThrough, count);
      const covered = row.settlements.reduce(
        (sum, { fromNumber, throughNumber }) => sum + throughNumber - fromNumber + 1,
        0,
      );
      assert.equal(covered, count, `${run} has each delivery in one settlement`);
      for (const { outcome, window, fromNumber, throughNumber } of row.settlements) {
        assert.equal(outcome, 'completed');
        if (window === undefined) continue;
        assert.equal(window.count, throughNumber - fromNumber + 1);
        windowed += window.count;
      }
    }
    assert.ok(windowed > 0);
    // Each of the runs was called at least once.
    assert.ok(lost >= sent.size / 3, `only ${lost} answers were lost`);
    const keys = effects.map(({ idempotencyKey }) => idempotencyKey);
    assert.equal(new Set(keys).size, keys.length, 'an effect was done twice');
    const immediate = effects.filter(({ run }) => run.startsWith('immediate:'));
    assert.equal(immediate.length, EVENTS / FLOWS.length);
  });
});
