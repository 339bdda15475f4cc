/**
 * `npm run bench`: what Tidegate costs and how fast it is, on a Temporal and a PostgreSQL of its own.
 * `npm run bench -- flows growth` runs parts alone; docs/operating/benchmarks.md tells of all.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { benchCost } from './cost.ts';
import { benchFlows } from './flows.ts';
import { benchGrowth } from './growth.ts';
import { benchHotKey } from './hot-key.ts';
import { benchIngress } from './ingress.ts';
import { benchMemory } from './memory.ts';
import { benchOverload } from './overload.ts';
import type { Part } from './part.ts';
import { benchRecovery } from './recovery.ts';
import { startStack } from './stack.ts';
import { printRows, type Row, ratioOf } from './table.ts';
import { benchWindows } from './windows.ts';

const PARTS: Readonly<Record<string, Part>> = {
  ingress: benchIngress,
  'hot-key': benchHotKey,
  flows: benchFlows,
  recovery: benchRecovery,
  cost: benchCost,
  memory: benchMemory,
  growth: benchGrowth,
  overload: benchOverload,
  windows: benchWindows,
};

const { positionals: wanted, values } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const unknown = wanted.find((name) => !Object.hasOwn(PARTS, name));
const scale = Number(values.scale);
if (unknown !== undefined || !(scale > 0 && scale <= 1)) {
  console.error(
    unknown === undefined
      ? `--scale is a share from 0 to 1, not ${values.scale}.`
      : `There is no benchmark ${unknown}; there are ${Object.keys(PARTS).join(', ')}.`,
  );
  process.exit(2);
}
const scaled = (whole: number, least = 1): number => Math.max(least, Math.round(whole * scale));

// By its exit it ends what it has started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}`;
let versions: Readonly<Record<string, string>> = {};
const rows: (Row & { readonly part: string })[] = [];
const failed: string[] = [];
for (const [part, bench] of Object.entries(PARTS)) {
  if (wanted.length > 0 && !wanted.includes(part)) continue;
  const startedAt = Date.now();
  const stack = await startStack();
  if (rows.length === 0) console.log(`${heading(stack.versions)}\n`);
  versions = stack.versions;
  console.log(`== ${part}`);
  try {
    rows.push(...(await bench({ stack, scaled })).map((row) => ({ part, ...row })));
  } catch (error) {
    console.error(error);
    failed.push(part);
  } finally {
    await stack.remove();
  }
  console.log(`(${((Date.now() - startedAt) / 1_000).toFixed(0)} s)\n`);
}

console.log(`== all\n${heading(versions)}\n`);
printRows(rows);
for (const part of failed) console.log(`\n${part} did not do right what it measured, see above.`);
if (values.json !== undefined) {
  const withRatios = rows.map((row) => ({ ...row, ratio: ratioOf(row) }));
  const result = { machine, versions, scale, failed, rows: withRatios };
  writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
}
process.exit(failed.length > 0 ? 1 : 0);

function heading(of: Readonly<Record<string, string>>): string {
  const named = Object.entries(of).map(([name, version]) => `${name} ${version}`);
  const size = scale === 1 ? '' : `; scale ${scale}: too small to believe its times`;
  return `${named.join(', ')}; ${machine}, shared by everything${size}`;
}
