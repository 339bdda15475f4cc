/** A workflow's history as a file of this repository: complete for replay, without traces of the machine. */
import { homedir, hostname } from 'node:os';
import { type History, historyToJSON } from '@temporalio/common/lib/proto-utils.js';

type JsonObject = { readonly [key: string]: unknown };

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields that name a process or a path of the machine; replay looks at none of them. */
const MACHINE_FIELDS = ['identity', 'stackTrace'];

/**
 * The history as JSON text, one event a line.
 *
 * @throws Error when a name or a path of this machine is left in it.
 */
export function historyText(history: History): string {
  const { events } = JSON.parse(historyToJSON(history)) as { readonly events: readonly unknown[] };
  const lines = events.map((event) => JSON.stringify(withoutMachine(event)));
  const text = `{"events":[\n${lines.join(',\n')}\n]}\n`;
  const readable = text.replace(/"data":"([^"]*)"/g, (_, base64: string) => fromBase64(base64));
  for (const trace of [`@${hostname()}`, homedir(), process.cwd()]) {
    if (readable.includes(trace)) throw new Error(`the history has ${trace} of this machine in it`);
  }
  return text;
}

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString();

function withoutMachine(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMachine);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, inner]) => {
      if (MACHINE_FIELDS.includes(field) && inner !== '') return [field, 'recorded'];
      // The queue of one worker is named after it.
      if (field === 'name' && value.kind === 'TASK_QUEUE_KIND_STICKY') return [field, 'recorded'];
      return [field, withoutMachine(inner)];
    }),
  );
}
