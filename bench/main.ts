/**
 * `npm run bench`: what Tidegate costs and how fast it is, on a Temporal and a PostgreSQL of its own.
 * `npm run bench -- windows` runs one part alone.
 */
import { cpus } from 'node:os';
import { benchAcknowledgements } from './acknowledgements.ts';
import { benchIngress } from './ingress.ts';
import { benchOverload } from './overload.ts';
import { type Stack, startStack } from './stack.ts';
import { benchWindows } from './windows.ts';

const PARTS: Readonly<Record<string, (stack: Stack) => Promise<void>>> = {
  acknowledgements: benchAcknowledgements,
  ingress: benchIngress,
  overload: benchOverload,
  windows: benchWindows,
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(PARTS, name));
if (unknown !== undefined) {
  console.error(`There is no benchmark ${unknown}; there are ${Object.keys(PARTS).join(', ')}.`);
  process.exit(1);
}

console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}; everything shares these processors\n`,
);
for (const [name, bench] of Object.entries(PARTS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`== ${name}`);
  const stack = await startStack();
  try {
    await bench(stack);
  } finally {
    await stack.remove();
  }
  console.log('');
}
process.exit(0);
