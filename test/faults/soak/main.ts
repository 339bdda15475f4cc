/**
 * `npm run soak`: random faults until the time is over, a new seed each time.
 *
 *     npm run soak -- --minutes 60
 *     npm run soak -- --seed 123 --seconds 20      the same plan again
 *     npm run soak -- --serve                      each ingress and its worker in one process
 */
import { parseArgs } from 'node:util';
import { describePlan, planFor } from './plan.ts';
import { runSeed } from './run-seed.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    minutes: { type: 'string', default: '10' },
    serve: { type: 'boolean', default: false },
  },
});
const [seconds, minutes] = [number('seconds', values.seconds), number('minutes', values.minutes)];
const ending = new AbortController();
process.once('SIGINT', () => ending.abort());
process.once('SIGTERM', () => ending.abort());

const failed: number[] = [];
let passed = 0;
if (values.seed !== undefined) await soak(number('seed', values.seed));
else {
  const until = performance.now() + minutes * 60_000;
  while (performance.now() < until && !ending.signal.aborted) {
    await soak(Math.floor(Math.random() * 1_000_000));
  }
}
console.log(
  `${passed} seeds passed, ${failed.length} failed${failed.length > 0 ? `: ${failed.join(' ')}` : ''}`,
);
process.exit(failed.length > 0 || ending.signal.aborted ? 1 : 0);

async function soak(seed: number): Promise<void> {
  console.log(describePlan(planFor(seed, seconds)));
  try {
    const { counts } = await runSeed(seed, {
      seconds,
      inOneProcess: values.serve,
      signal: ending.signal,
    });
    passed += 1;
    const told = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
    console.log(`seed ${seed} passed: ${told.join(', ')}\n`);
  } catch (error) {
    if (ending.signal.aborted) return;
    failed.push(seed);
    console.error(`seed ${seed} FAILED: ${error instanceof Error ? error.message : error}\n`);
  }
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) {
    console.error(`--${name} must be a number, got ${text}`);
    process.exit(2);
  }
  return value;
}
