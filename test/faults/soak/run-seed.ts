/** One seed: a system, what is sent to it, what fails, and what came of it. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { wireKey } from '../../../src/connectors/wire-key.ts';
import type { DeadLetter } from '../../../src/journal/dead-letters.ts';
import type { EventRow, Paged } from '../../../src/journal/rows.ts';
import type { OperationCall } from '../../../src/model/protocol.ts';
import { until } from '../../support/wait.ts';
import { type Receiver, type Answer as Reply, startReceiver } from '../receiver.ts';
import { type System, startSystem } from '../system.ts';
import { type EarlyEnd, type Facts, findings } from './findings.ts';
import { inject, nodesOf } from './inject.ts';
import { describePlan, type Plan, type PlannedRequest, planFor } from './plan.ts';
import { type Sending, startSending } from './sender.ts';

/** A run of {@link runSeed} that came to what it should. */
export interface Passed {
  readonly plan: Plan;
  /** For people: what there was to go wrong. */
  readonly counts: Readonly<
    Record<'events' | 'answers' | 'unanswered' | 'refused' | 'effects' | 'repeatedCalls', number>
  >;
}

/** After the last fault: the longest deadline of a lease, a task and a heartbeat, many times over. */
const SENT_MS_MAX = 150_000;
const SETTLED_MS_MAX = 150_000;
const LISTED_MS_MAX = 60_000;
const SUPERVISE_MS = 200;
/** Each look reads every run: what is looked at has the same two cores. */
const LOOK_MS = 500;
/** What the receiver refuses to do for an order that parks, and for one that is undone. */
const REFUSED = { parks: { '/reserved': 403 }, undone: { '/ship': 422 } } as const;

/** Deliveries that wait, from which on the door is shut: fewer than come of a burst. */
const BACKLOG = '60,80,100';

/** @throws Error with the seed, the plan, what was found and what the processes printed. */
export async function runSeed(
  seed: number,
  {
    seconds = 20,
    inOneProcess = false,
    signal = new AbortController().signal,
  }: {
    readonly seconds?: number;
    /** `tidegate serve` instead of ingress and worker. */
    readonly inOneProcess?: boolean;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Passed> {
  const plan = planFor(seed, seconds);
  const complaints: string[] = [];
  const receiver = await startReceiver(replies(plan));
  const system = await startSystem({
    project: 'soak',
    receiverUrl: receiver.url,
    twoOfEach: plan.twoOfEach,
    inOneProcess,
    withFaults: true,
    env: { TIDEGATE_SHED_BACKLOG: BACKLOG },
    onLine: (process, line) => {
      if (isComplaint(line)) complaints.push(`${process}: ${line}`);
    },
  });
  try {
    const facts = await factsOf(plan, { system, receiver, complaints, signal });
    const found = findings(facts);
    if (found.length > 0) throw new Error(found.join('\n'));
    return { plan, counts: countsOf(facts) };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(
      `${message}\n\n${describePlan(plan)}\nrepeat it: npm run soak -- --seed ${seed} --seconds ${seconds}${inOneProcess ? ' --serve' : ''}\n\n${system.output()}`,
    );
  } finally {
    await system.stop();
    await receiver.stop();
  }
}

interface Running {
  readonly system: System;
  readonly receiver: Receiver;
  readonly complaints: readonly string[];
  readonly signal: AbortSignal;
}

async function factsOf(plan: Plan, running: Running): Promise<Facts> {
  const { system, receiver, complaints } = running;
  const ended = new AbortController();
  const signal = AbortSignal.any([running.signal, ended.signal]);
  // Each request and each fault waits by it.
  setMaxListeners(0, signal);
  const sending = startSending(plan.requests, { urls: system.urls, signal });
  // Told of when it is awaited, after the faults.
  sending.done.catch(() => {});
  const refusedByBacklog = (): number =>
    sending.answers().filter(({ code }) => code === 'backlog_full').length;
  const supervised = supervise(system, signal);
  try {
    await inject(plan.faults, { system, signal, refusedByBacklog });
    await untilSent(sending, signal);
    await untilSettled(plan, running);
  } finally {
    ended.abort();
    await sending.done.catch(() => {});
  }
  const earlyEnds = await supervised;
  const openWorkflows = await openWorkflowsOf(system);
  return {
    plan,
    answers: sending.answers(),
    effects: receiver.effects(),
    conflicts: receiver.conflicts(),
    calledBy: await callsOf(running),
    events: await eventsOf(plan, system),
    emitted: await all((after) => system.journal.listEvents({ source: 'tidegate/relay' }, after)),
    deadLetters: await all<DeadLetter>((after) => system.journal.listDeadLetters(after)),
    openWorkflows,
    earlyEnds,
    exitCodes: await endAll(system),
    complaints,
  };
}

async function untilSent({ done, answers }: Sending, signal: AbortSignal): Promise<void> {
  const late = sleep(SENT_MS_MAX, 'late' as const, { signal });
  if ((await Promise.race([done, late])) !== 'late') return;
  const last = JSON.stringify(answers().slice(-5));
  throw new Error(`not every request was taken in ${SENT_MS_MAX} ms; the last answers: ${last}`);
}

/** Starts again what has ended by itself, as whatever runs it in production does. */
async function supervise(system: System, signal: AbortSignal): Promise<readonly EarlyEnd[]> {
  const ends: EarlyEnd[] = [];
  while (!signal.aborted) {
    for (const node of [...nodesOf(system).values(), system.processes.temporal]) {
      if (node.isAsWished()) continue;
      ends.push({ process: node.name, output: node.output() });
      node.start();
    }
    await sleep(SUPERVISE_MS);
  }
  return ends;
}

/** Everything is settled but what the plan parks, and no workflow runs but of that. */
async function untilSettled({ requests }: Plan, { system, signal }: Running): Promise<void> {
  const parks = new Set(
    requests.filter(({ fate, flaw }) => fate === 'parks' && flaw === undefined).map(({ id }) => id),
  );
  let open: readonly unknown[] = [];
  const isSettled = async (): Promise<boolean> => {
    await sleep(LOOK_MS, undefined, { signal });
    const unsettled = await system.unsettled();
    const workflows = unsettled.length > parks.size ? [] : await openWorkflowsOf(system);
    open = [...unsettled.filter(({ status }) => status !== 'parked'), ...workflows];
    return unsettled.length === parks.size && workflows.length === parks.size;
  };
  await until('all to be settled', isSettled, SETTLED_MS_MAX).catch((error: Error) => {
    throw new Error(`${error.message}; open: ${JSON.stringify(open.slice(0, 5))}`);
  });
}

const openWorkflowsOf = (system: System): Promise<readonly string[]> =>
  withClient(system, async ({ workflow }) => {
    const ids: string[] = [];
    const running = workflow.list({ query: "ExecutionStatus='Running'" });
    for await (const { workflowId } of running) ids.push(workflowId);
    return ids;
  });

/** Temporal's list may be behind: what the receiver has done is in the history of somebody. */
const callsOf = ({ system, receiver }: Running): Promise<Facts['calledBy']> =>
  withClient(system, (client) =>
    until(
      'the history behind each effect',
      async () => {
        const calls = await callsInHistories(client);
        return [...receiver.effects().keys()].every((key) => calls.has(key)) && calls;
      },
      LISTED_MS_MAX,
    ),
  );

async function callsInHistories({ workflow }: Client): Promise<Facts['calledBy']> {
  const calls = new Map<string, string[]>();
  for await (const { workflowId, runId } of workflow.list()) {
    const { events } = await workflow.getHandle(workflowId, runId).fetchHistory();
    for (const { activityTaskScheduledEventAttributes: scheduled } of events ?? []) {
      const [payload] = scheduled?.input?.payloads ?? [];
      if (payload === undefined) continue;
      const { idempotencyKey } = defaultPayloadConverter.fromPayload<OperationCall>(payload);
      const key = wireKey(idempotencyKey);
      calls.set(key, [...(calls.get(key) ?? []), runId]);
    }
  }
  return calls;
}

async function withClient<Answer>(
  { temporalAddress }: System,
  ask: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    return await ask(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

async function eventsOf(
  { requests }: Plan,
  { journal }: System,
): Promise<ReadonlyMap<string, readonly EventRow[]>> {
  const events = new Map<string, readonly EventRow[]>();
  for (const id of new Set(requests.map((request) => request.id))) {
    events.set(id, await journal.findEvents('default', id));
  }
  return events;
}

async function all<Row>(
  page: (page: { readonly after?: string }) => Promise<Paged<Row>>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let after: string | undefined;
  do {
    const { rows: some, next } = await page(after === undefined ? {} : { after });
    rows.push(...some);
    after = next;
  } while (after !== undefined);
  return rows;
}

async function endAll(system: System): Promise<ReadonlyMap<string, number | null>> {
  const ended = [...new Set(nodesOf(system).values())].map(
    async (node) => [node.name, await node.terminate()] as const,
  );
  return new Map(await Promise.all(ended));
}

/** The outside system: refuses what the plan says, and is as unreliable as it says. */
function replies({ requests, receiver, seed }: Plan) {
  const fates = new Map(
    requests.map(({ id, fate }): [string, PlannedRequest['fate']] => [id, fate]),
  );
  let calls = 0;
  return ({ path, body }: { readonly path: string; readonly body: unknown }): Reply => {
    const fate = fates.get((body as { readonly order?: string }).order ?? '') ?? 'plain';
    const refused: Readonly<Record<string, number>> =
      fate === 'parks' || fate === 'undone' ? REFUSED[fate] : {};
    const status = refused[path];
    if (status !== undefined) return { status };
    calls += 1;
    // Golden ratio: spread evenly, without a generator whose order the calls would share.
    const luck = (calls * 0.618_034 + seed * 0.1) % 1;
    if (luck < receiver.fails) return { status: 500 };
    return { isLost: luck < receiver.fails + receiver.loses };
  };
}

/** Faults of the program itself; what it says of PostgreSQL and Temporal is what this is about. */
const isComplaint = (line: string): boolean =>
  /unhandled|uncaught|internal_error|\(node:\d+\)|"level":"fatal"/i.test(line);

function countsOf({ plan, answers, effects }: Facts): Passed['counts'] {
  const calls = [...effects.values()].reduce((sum, effect) => sum + effect.calls, 0);
  return {
    events: new Set(plan.requests.map(({ id }) => id)).size,
    answers: answers.length,
    unanswered: answers.filter(({ httpStatus }) => httpStatus === undefined).length,
    refused: answers.filter(({ httpStatus }) => httpStatus === 503).length,
    effects: effects.size,
    repeatedCalls: calls - effects.size,
  };
}
