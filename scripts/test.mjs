// `npm test`: lint, types, import directions, then every mocha test; the last line is `N passed, N failed`.
// Arguments go to mocha, and then mocha alone runs: `npm test -- test/journal --grep duplicate`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup/step.mjs';
import { findTemporalCli } from './setup/temporal-cli.mjs';

const tools = {
  biome: 'node_modules/@biomejs/biome/bin/biome',
  tsc: 'node_modules/typescript/bin/tsc',
  depcruise: 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
  mocha: 'node_modules/mocha/bin/mocha.js',
};
const checks = [
  { title: 'lint and format', tool: 'biome', args: ['check', '.'] },
  { title: 'types', tool: 'tsc', args: ['--noEmit'] },
  { title: 'import directions', tool: 'depcruise', args: ['src', 'examples', 'test', 'bench'] },
];

const env = { ...process.env, TEMPORAL_CLI: findTemporalCli(process.env) };
const mochaArgs = process.argv.slice(2);
const results = [];
for (const check of mochaArgs.length === 0 ? checks : []) results.push(await runCheck(check));
results.push(await runMocha());

for (const { note } of results) if (note !== undefined) console.log(`FAILED: ${note}`);
const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map((name) =>
  results.reduce((sum, result) => sum + result[name], 0),
);
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

async function runCheck({ title, tool, args }) {
  console.log(`\n${title}: ${tool} ${args.join(' ')}`);
  const code = await run(tool, args);
  if (code === 0) return { passed: 1, failed: 0, skipped: 0 };
  const note = `${title}: ${tool} ended with ${code}, its findings are above`;
  return { passed: 0, failed: 1, skipped: 0, note };
}

async function runMocha() {
  const folder = mkdtempSync(join(tmpdir(), 'tidegate-test-'));
  const totalsFile = join(folder, 'totals.json');
  const code = await run('mocha', ['--forbid-only', ...mochaArgs], {
    TIDEGATE_TOTALS_FILE: totalsFile,
  });
  const totals = readTotals(totalsFile);
  rmSync(folder, { recursive: true, force: true });
  const isToldByTotals = totals !== undefined && (code === 0 || totals.failed > 0);
  if (isToldByTotals) return totals;
  const note = `mocha ended with ${code}, its output is above`;
  return { passed: 0, skipped: 0, ...totals, failed: 1, note };
}

/** Resolves to the exit code, or to the signal that ended it. */
function run(tool, args, extraEnv = {}) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(tools[tool], root)), ...args], {
    cwd: root,
    env: { ...env, ...extraEnv },
    stdio: 'inherit',
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? signal));
  });
}

function readTotals(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
