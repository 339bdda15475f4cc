/**
 * `npm run demo`: a burst of changes to one deal, sent to a running `npm start`, and what becomes of
 * it. It talks to the engine over HTTP alone, as any service and any operator would.
 */
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const envFile = fileURLToPath(new URL('acme/.env', import.meta.url));
if (existsSync(envFile)) process.loadEnvFile(envFile);

const base = `http://127.0.0.1:${process.env.PORT || '3000'}`;
const token = process.env.TIDEGATE_TOKEN || undefined;

const CHANGES = 25;
const STAGES = ['lead', 'qualified', 'proposal', 'negotiation', 'won'] as const;
/** After which changes the sender, unsure whether it got through, sends the same again. */
const REPEATED_AFTER: readonly number[] = [6, 13, 25];
const PAUSE_MS = 60;
const CALL_MS_MAX = 10_000;
const SETTLE_MS_MAX = 60_000;
const POLL_MS = 500;

/** A reason to stop that the reader can do something about. */
const demoFailed = (message: string, cause?: unknown): Error =>
  Object.assign(new Error(message, { cause }), { name: 'DemoFailed' });

interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}
interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string }[];
}
/** What `POST /events/:type` answers. */
interface Results {
  readonly results: readonly [
    {
      readonly status: string;
      readonly reason?: string;
      readonly deliveries: readonly { readonly run: string }[];
    },
  ];
}
/** What `GET /api/v1/runs/:run` answers, as far as it is shown here. */
interface Run {
  readonly status: 'open' | 'parked' | 'settled';
  readonly live?: { readonly stage: string; readonly waitingFor?: string };
  readonly dispatchError?: string;
  readonly park?: { readonly reason: string };
  readonly settlements: readonly {
    readonly window?: { readonly count: number; readonly closedBy: string };
  }[];
  readonly links: { readonly self: string; readonly history?: string };
}
type Message = { readonly channel: string; readonly text: string };

interface Change {
  readonly id: string;
  readonly label: string;
  readonly data: unknown;
}
interface Sent {
  readonly status: string;
  readonly why: string;
  readonly run?: string;
}

async function demo(): Promise<void> {
  await engineIsThere();
  const dealId = `demo-${Date.now().toString(36)}`;

  say(`\n${bold(`The deal ${dealId} changes ${CHANGES} times`)}, some of it sent twice\n`);
  const changes: Sent[] = [];
  const duplicates: Sent[] = [];
  for (let number = 1; number <= CHANGES; number += 1) {
    const change = changeOf(dealId, number);
    changes.push(await send(change));
    if (REPEATED_AFTER.includes(number)) duplicates.push(await send(change));
    await pause(PAUSE_MS);
  }

  say(`\n${bold('Two more that must not get through')}\n`);
  const malformed = await send({
    id: `${dealId}-malformed`,
    label: 'amount: "a lot", no stage',
    data: { dealId, amount: 'a lot', currency: 'EUR' },
  });
  const unwanted = await send({
    id: `${dealId}-small`,
    label: 'a deal of 250 EUR',
    data: { dealId: `${dealId}-small`, stage: 'lead', amount: 250, currency: 'EUR' },
  });

  const run = changes[0]?.run;
  if (run === undefined) {
    throw demoFailed(`The first change went to no run: it was ${changes[0]?.status}.`);
  }
  say(`\n${bold(`The run ${run}`)}\n`);
  const settled = await untilSettled(run);
  const messages = await messagesOf(run);
  report({ dealId, changes, duplicates, malformed, unwanted, settled, messages });
}

const changeOf = (dealId: string, number: number): Change => {
  const stage = STAGES[Math.floor(((number - 1) * STAGES.length) / CHANGES)] ?? 'lead';
  const amount = 10_000 + number * 500;
  return {
    id: `${dealId}-${number}`,
    label: `${stage}, ${amount.toLocaleString('en')} EUR`,
    data: { dealId, stage, amount, currency: 'EUR' },
  };
};

/** Sends one event with its id as Idempotency-Key and prints what the engine said. */
async function send({ id, label, data }: Change): Promise<Sent> {
  const answer = await call<Results & Problem>('/events/deal.stage_changed?source=demo', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': id },
    body: JSON.stringify(data),
  });
  const sent = sentOf(answer);
  const number = id.slice(id.lastIndexOf('-') + 1);
  say(`  ${number.padStart(9)}  ${label.padEnd(27)}  ${coloured(sent.status)}  ${dim(sent.why)}`);
  return sent;
}

function sentOf({ status, body }: Answer<Results & Problem>): Sent {
  if (status === 202) {
    const [result] = body.results;
    const [delivery] = result.deliveries;
    const why = result.reason ?? (delivery === undefined ? '' : `→ ${delivery.run}`);
    return { status: result.status, why, ...(delivery === undefined ? {} : { run: delivery.run }) };
  }
  if (status === 422) {
    const paths = (body.errors ?? []).map(({ path }) => path).join(', ');
    return {
      status: 'refused',
      why: `${status} ${body.code}${paths === '' ? '' : ` at ${paths}`}`,
    };
  }
  throw demoFailed(`The engine answered ${status} ${body.code ?? ''}: ${body.detail ?? ''}`);
}

/** Follows the run until everything it was given has an outcome, printing each new stage. */
async function untilSettled(run: string): Promise<Run> {
  const startedAt = Date.now();
  let shown = '';
  while (Date.now() - startedAt < SETTLE_MS_MAX) {
    const { status, body } = await call<Run & Problem>(`/api/v1/runs/${encodeURIComponent(run)}`);
    if (status !== 200) throw demoFailed(`GET /runs/${run} answered ${status} ${body.code}.`);
    const stage = stageOf(body);
    if (stage !== shown) {
      say(`  ${dim(`${((Date.now() - startedAt) / 1_000).toFixed(1).padStart(5)} s`)}  ${stage}`);
      shown = stage;
    }
    if (body.status === 'settled') return body;
    if (body.status === 'parked') {
      throw demoFailed(
        `The run waits for a person: ${body.park?.reason}. Decide with POST ${base}/api/v1/runs/${encodeURIComponent(run)}/decisions.`,
      );
    }
    await pause(POLL_MS);
  }
  throw demoFailed(
    `The run did not settle within ${SETTLE_MS_MAX / 1_000} s; the last that was seen of it: ${shown}. Look at the log of npm start.`,
  );
}

function stageOf({ status, live, dispatchError }: Run): string {
  if (live !== undefined && status === 'open') {
    return live.waitingFor === undefined ? live.stage : `${live.stage}: ${live.waitingFor}`;
  }
  if (dispatchError !== undefined) return `not delivered yet: ${dispatchError}`;
  return status === 'open' ? 'on its way to Temporal' : status;
}

/** What left for Slack because of a run. */
async function messagesOf(run: string): Promise<readonly Message[]> {
  const { body } = await call<{
    readonly rows: readonly { connector: string; operation: string; input: Message }[];
  }>(`/api/v1/outbox?run=${encodeURIComponent(run)}`);
  return body.rows
    .filter(({ connector, operation }) => `${connector}.${operation}` === 'slack.postMessage')
    .map(({ input }) => input);
}

function report(seen: {
  readonly dealId: string;
  readonly changes: readonly Sent[];
  readonly duplicates: readonly Sent[];
  readonly malformed: Sent;
  readonly unwanted: Sent;
  readonly settled: Run;
  readonly messages: readonly Message[];
}): void {
  const { changes, duplicates, malformed, unwanted, settled, messages } = seen;
  const window = settled.settlements.at(-1)?.window;
  const became = (all: readonly Sent[]) => [...new Set(all.map(({ status }) => status))].join(', ');
  table([
    ['What arrived', 'What it became', 'Why'],
    [
      `${changes.length} changes of one deal`,
      `${messages.length} message${messages.length === 1 ? '' : 's'}`,
      `${settled.settlements.length} window of ${window?.count} events, closed by ${window?.closedBy}`,
    ],
    [
      `${duplicates.length} exact duplicates`,
      became(duplicates),
      'the same Idempotency-Key: counted on the first, nothing else',
    ],
    ['1 malformed event', malformed.status, malformed.why],
    ['1 deal nobody wants', unwanted.status, unwanted.why],
  ]);
  for (const { channel, text } of messages) say(`  ${bold('What left')}   ${channel}  ${text}\n`);
  say(`  Temporal    ${settled.links.history ?? 'its Web UI is not known to the engine'}`);
  say(`  The run     ${base}${settled.links.self}`);
  say(`  The story   ${base}/api/v1/trace/${encodeURIComponent(`${seen.dealId}-1`)}`);
  say(`  Refused     ${base}/api/v1/dead-letters\n`);

  const kept =
    changes.every(({ status }) => status === 'accepted') &&
    duplicates.every(({ status }) => status === 'duplicate') &&
    malformed.status === 'refused' &&
    unwanted.status === 'filtered' &&
    messages.length === 1 &&
    window?.count === CHANGES;
  if (!kept) {
    throw demoFailed(
      `The promise was ${CHANGES} changes, 1 message, 3 duplicates, 1 refused, 1 filtered; the table shows what differs.`,
    );
  }
  say(green(`${CHANGES} changes → 1 message.\n`));
}

function table(rows: readonly (readonly string[])[]): void {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd();
  const [head = [], ...body] = rows;
  say(`\n${bold(line(head))}\n${body.map(line).join('\n')}\n`);
}

async function engineIsThere(): Promise<void> {
  const { status, body } = await call<{
    readonly rows?: readonly { readonly name: string; readonly mode: string }[];
  }>('/api/v1/connectors');
  if (status === 401) throw demoFailed('The engine asks for a token: set TIDEGATE_TOKEN.');
  const slack = body.rows?.find(({ name }) => name === 'slack');
  if (slack === undefined) {
    throw demoFailed(
      `What answers at ${base} is not Tidegate with examples/acme: run npm start in another terminal first, or set PORT to where it listens.`,
    );
  }
  if (slack.mode !== 'fake') {
    throw demoFailed(
      'Slack is configured for real, and the demo does not post there: start without TIDEGATE_SLACK_TOKEN.',
    );
  }
}

async function call<Body>(path: string, init: RequestInit = {}): Promise<Answer<Body>> {
  const headers = {
    ...(init.headers as Record<string, string>),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  try {
    const signal = AbortSignal.timeout(CALL_MS_MAX);
    const response = await fetch(`${base}${path}`, { ...init, headers, signal });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : {} };
  } catch (error) {
    throw demoFailed(
      `Nothing answers at ${base}: run npm start in another terminal first, and set PORT here when it is set there.`,
      error,
    );
  }
}

const say = (text: string): void => console.log(text);

const isTerminal = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const style = (code: number) => (text: string) =>
  isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text;
const [bold, dim, green] = [style(1), style(2), style(32)];
const COLOUR_OF: Readonly<Record<string, number>> = { accepted: 32, refused: 31 };
const coloured = (status: string): string => style(COLOUR_OF[status] ?? 33)(status.padEnd(9));

try {
  await demo();
} catch (error) {
  if (!(error instanceof Error && error.name === 'DemoFailed')) throw error;
  console.error(`\n${style(31)(error.message)}\n`);
  process.exitCode = 1;
}
