/** The engine as the stories see it: over HTTP alone, as any service and any operator would. */
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bold, coloured, demoFailed, dim, say } from './terminal';

const envFile = fileURLToPath(new URL('../acme/.env', import.meta.url));
if (existsSync(envFile)) process.loadEnvFile(envFile);

export const base = `http://127.0.0.1:${process.env.PORT || '3000'}`;
const token = process.env.TIDEGATE_TOKEN || undefined;

const CALL_MS_MAX = 10_000;
const FOLLOW_MS_MAX = 60_000;
const PARKED_MS_MAX = 3_000;
const POLL_MS = 500;

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
export interface Run {
  readonly status: 'open' | 'parked' | 'settled';
  readonly live?: {
    readonly stage: string;
    readonly waitingFor?: string;
    readonly seenThrough: number;
  };
  readonly dispatchError?: string;
  readonly park?: { readonly step: string; readonly reason: string };
  readonly settlements: readonly {
    readonly outcome: string;
    readonly window?: { readonly count: number; readonly closedBy: string };
    readonly result?: unknown;
  }[];
  readonly links: { readonly self: string; readonly history?: string };
}
/** One write that a connector's fake kept instead of sending it. */
export interface Sending {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface Fact {
  readonly type: string;
  readonly id: string;
  readonly label: string;
  readonly data: unknown;
}
export interface Sent {
  readonly status: string;
  readonly why: string;
  readonly runs: readonly string[];
}

/** Refuses to begin where nothing answers, or where a connector would write for real. */
export async function engineIsThere(writesTo: readonly string[]): Promise<void> {
  const { status, body } = await call<{
    readonly rows?: readonly { readonly name: string; readonly mode: string }[];
  }>('/api/v1/connectors');
  if (status === 401) throw demoFailed('The engine asks for a token: set TIDEGATE_TOKEN.');
  for (const name of writesTo) {
    const connector = body.rows?.find((row) => row.name === name);
    if (connector === undefined) {
      throw demoFailed(
        `What answers at ${base} is not Tidegate with examples/acme: run npm start in another terminal first, or set PORT to where it listens.`,
      );
    }
    if (connector.mode !== 'fake') {
      throw demoFailed(
        `The connector ${name} is configured for real, and the demo does not write there: start without its TIDEGATE_… variables.`,
      );
    }
  }
}

/** Sends one event with its id as Idempotency-Key and prints what the engine said. */
export async function send({ type, id, label, data }: Fact): Promise<Sent> {
  const answer = await postJson<Results & Problem>(`/events/${type}?source=demo`, data, {
    'idempotency-key': id,
  });
  const sent = sentOf(answer);
  const number = id.slice(id.lastIndexOf('-') + 1);
  say(`  ${number.padStart(9)}  ${label.padEnd(27)}  ${coloured(sent.status)}  ${dim(sent.why)}`);
  return sent;
}

function sentOf({ status, body }: Answer<Results & Problem>): Sent {
  if (status === 202) {
    const [result] = body.results;
    const runs = result.deliveries.map(({ run }) => run);
    const why = result.reason ?? (runs.length === 0 ? '' : `→ ${runs.join(', ')}`);
    return { status: result.status, why, runs };
  }
  if (status === 422) {
    const paths = (body.errors ?? []).map(({ path }) => path).join(', ');
    const why = `${status} ${body.code}${paths === '' ? '' : ` at ${paths}`}`;
    return { status: 'refused', why, runs: [] };
  }
  throw answeredWrongly(status, body);
}

/** Follows the run until everything it was given has an outcome. */
export const untilSettled = (run: string): Promise<Run> =>
  follow(run, 'settle', ({ status }) => status === 'settled');

/** Follows the run until it waits for a person. */
export const untilParked = (run: string): Promise<Run> =>
  follow(run, 'wait for a person', ({ status }) => status === 'parked');

/** Follows the run until it has taken in so many events. */
export const untilSeen = (run: string, events: number): Promise<Run> =>
  follow(run, `take in ${events} events`, ({ live }) => (live?.seenThrough ?? 0) >= events);

/** Follows a run until it is as wanted, printing each new stage. */
async function follow(run: string, what: string, isWanted: (run: Run) => boolean): Promise<Run> {
  const startedAt = Date.now();
  let shown = '';
  let movedAt = startedAt;
  while (Date.now() - startedAt < FOLLOW_MS_MAX) {
    const { status, body } = await call<Run & Problem>(pathOf(run));
    if (status !== 200) throw demoFailed(`GET /runs/${run} answered ${status} ${body.code}.`);
    const stage = stageOf(body);
    if (stage !== shown) {
      say(`  ${dim(`${((Date.now() - startedAt) / 1_000).toFixed(1).padStart(5)} s`)}  ${stage}`);
      shown = stage;
      movedAt = Date.now();
    }
    if (isWanted(body)) return body;
    // A decision that was just taken is seen a moment later.
    if (body.status === 'parked' && Date.now() - movedAt > PARKED_MS_MAX) {
      throw demoFailed(
        `The run waits for a person: ${body.park?.reason}. Decide with POST ${base}${pathOf(run)}/decisions.`,
      );
    }
    await pause(POLL_MS);
  }
  throw demoFailed(
    `The run did not ${what} within ${FOLLOW_MS_MAX / 1_000} s; the last that was seen of it: ${shown}. Look at the log of npm start.`,
  );
}

function stageOf({ status, live, dispatchError }: Run): string {
  if (live !== undefined && status !== 'settled') {
    return live.waitingFor === undefined ? live.stage : `${live.stage}: ${live.waitingFor}`;
  }
  if (dispatchError !== undefined) return `not delivered yet: ${dispatchError}`;
  return status === 'open' ? 'on its way to Temporal' : status;
}

/** Decides about a waiting run as an operator would, and prints it. */
export async function decide(
  run: string,
  decision: { readonly action: string; readonly reason: string; readonly input?: unknown },
  actor = 'you@acme.example',
): Promise<void> {
  const { status, body } = await postJson<Problem>(`${pathOf(run)}/decisions`, decision, {
    'x-actor': actor,
  });
  if (status !== 200) throw answeredWrongly(status, body);
  say(`  ${actor} decides: ${bold(decision.action)}, "${decision.reason}"`);
}

/** Answers by an approval link, as the page's buttons do, and prints it. */
export async function answerByLink(
  link: string,
  answer: { readonly action: 'approve' | 'reject'; readonly reason: string },
  approver: string,
): Promise<void> {
  const { pathname } = new URL(link);
  const { status } = await call(pathname, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(answer).toString(),
  });
  if (status !== 200) throw demoFailed(`The approval page answered ${status}.`);
  say(`  ${approver} presses ${bold(answer.action)} on the page of the link, "${answer.reason}"`);
}

/** What left because of a run, in order. */
export async function outboxOf(run: string): Promise<readonly Sending[]> {
  const { body } = await call<{
    readonly rows: readonly (Sending & { readonly connector: string })[];
  }>(`/api/v1/outbox?run=${encodeURIComponent(run)}`);
  return body.rows
    .toReversed()
    .map(({ connector, operation, input }) => ({ operation: `${connector}.${operation}`, input }));
}

const INPUT_CHARACTERS_SHOWN = 110;

/** Prints what left because of a run, once it is at least so much, and gives it. */
export async function showOutbox(run: string, atLeast = 0): Promise<readonly Sending[]> {
  const startedAt = Date.now();
  let left = await outboxOf(run);
  while (left.length < atLeast && Date.now() - startedAt < CALL_MS_MAX) {
    await pause(POLL_MS);
    left = await outboxOf(run);
  }
  const width = Math.max(0, ...left.map(({ operation }) => operation.length));
  for (const { operation, input } of left) {
    const text = JSON.stringify(input);
    const shown =
      text.length > INPUT_CHARACTERS_SHOWN ? `${text.slice(0, INPUT_CHARACTERS_SHOWN)}…` : text;
    say(`  ${operation.padEnd(width)}  ${dim(shown)}`);
  }
  return left;
}

/** Where to read on. */
export function showLinks({ links }: Run, eventId: string): void {
  say(`  Temporal    ${links.history ?? 'its Web UI is not known to the engine'}`);
  say(`  The run     ${base}${links.self}`);
  say(`  The story   ${base}/api/v1/trace/${encodeURIComponent(eventId)}`);
}

/** Prints what happened to all events of one story, in order, and gives what kinds of things did. */
export async function showTrace(correlationId: string): Promise<readonly string[]> {
  const { body } = await call<{
    readonly steps: readonly { readonly what: string; readonly text: string }[];
  }>(`/api/v1/trace/${encodeURIComponent(correlationId)}`);
  for (const { text } of body.steps) say(`  ${text}`);
  return body.steps.map(({ what }) => what);
}

const pathOf = (run: string): string => `/api/v1/runs/${encodeURIComponent(run)}`;

const answeredWrongly = (status: number, { code, detail }: Problem): Error =>
  demoFailed(`The engine answered ${status} ${code ?? ''}: ${detail ?? ''}`);

const postJson = <Body>(
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Answer<Body>> =>
  call<Body>(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

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
