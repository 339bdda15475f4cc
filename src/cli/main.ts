#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { messageOf, TidegateError } from '../model/error.ts';
import { endAtSignals } from './signals.ts';

const USAGE = `tidegate <command> [directory]

  dev      [dir]   run a project: journal, ingress, worker and a Temporal dev server
  serve    [dir]   run its ingress and its worker in one process (needs DATABASE_URL)
  ingress  [dir]   run its ingress: HTTP, journal, dispatch
  worker   [dir]   run its worker: flows and connector operations (needs DATABASE_URL)
  keys create|list|rotate|revoke  make and end API keys, at a running Tidegate
  contracts check|release [dir]   compare its contracts with the released ones, or release them

The directory has events.ts and flows/index.ts in it; default: this one.
Configuration is the environment and the directory's .env file.`;

const COMMANDS = {
  dev: async () => (await import('./dev.ts')).dev,
  ingress: async () => (await import('./ingress.ts')).ingress,
  worker: async () => (await import('./worker.ts')).worker,
  serve: async () => (await import('./serve.ts')).serve,
} as const;

const isCommand = (name: string | undefined): name is keyof typeof COMMANDS =>
  name !== undefined && Object.hasOwn(COMMANDS, name);

async function main(): Promise<number> {
  // They have options of their own.
  if (process.argv[2] === 'contracts') {
    return (await import('./contracts.ts')).contracts(process.argv.slice(3));
  }
  if (process.argv[2] === 'keys') return (await import('./keys.ts')).keys(process.argv.slice(3));
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  const [name, directory = '.'] = positionals;
  if (values.help === true || !isCommand(name)) {
    console.log(USAGE);
    return values.help === true ? 0 : 2;
  }
  endAtSignals();
  const command = await COMMANDS[name]();
  await command(directory);
  return 0;
}

function explain(error: unknown): string {
  if (TidegateError.is(error)) return `${error.message} [${error.code}]`;
  return error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
}

try {
  process.exit(await main());
} catch (error) {
  console.error(explain(error));
  process.exit(1);
}
