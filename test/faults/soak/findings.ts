/** What must hold when the dust has settled, and what does not. Pure: facts in, findings out. */
import type { DeadLetter } from '../../../src/journal/dead-letters.ts';
import type { EventRow } from '../../../src/journal/rows.ts';
import { type Effect, ordersIn } from '../receiver.ts';
import type { Fate, Plan, PlannedRequest } from './plan.ts';
import type { Answer } from './sender.ts';

/** A process that ended without having been told to. */
export interface EarlyEnd {
  readonly process: string;
  readonly output: string;
}

export interface Facts {
  readonly plan: Pick<Plan, 'requests'>;
  readonly answers: readonly Answer[];
  /** By idempotency key, in the order of the first calls. */
  readonly effects: ReadonlyMap<string, Effect>;
  /** Idempotency keys that came with two bodies. */
  readonly conflicts: readonly string[];
  /** By idempotency key, the executions that have called for it, by Temporal's histories; attempts of one call count once. */
  readonly calledBy: ReadonlyMap<string, readonly string[]>;
  /** What the journal has of each planned identity, and of what flows have emitted. */
  readonly events: ReadonlyMap<string, readonly EventRow[]>;
  readonly emitted: readonly EventRow[];
  readonly deadLetters: readonly DeadLetter[];
  /** Workflows that Temporal says are running. */
  readonly openWorkflows: readonly string[];
  readonly earlyEnds: readonly EarlyEnd[];
  /** Exit codes of the processes that were told to end at last, by name. */
  readonly exitCodes: ReadonlyMap<string, number | null>;
  /** Lines of logs that no process should print. */
  readonly complaints: readonly string[];
}

/** Each finding is a sentence; none is what a run should come to. */
export const findings = (facts: Facts): readonly string[] =>
  [
    badAnswers,
    badEvents,
    badOrder,
    badEffects,
    badRepetitions,
    badDeadLetters,
    badProcesses,
  ].flatMap((check) => few(check(facts)));

const FEW = 8;
const few = (found: readonly string[]): readonly string[] =>
  found.length <= FEW ? found : [...found.slice(0, FEW), `and ${found.length - FEW} like these`];

/** The first request of each identity: those that follow are repeats of it. */
function identities({ plan }: Facts): readonly PlannedRequest[] {
  const firsts = new Map<string, PlannedRequest>();
  for (const request of plan.requests) if (!firsts.has(request.id)) firsts.set(request.id, request);
  return [...firsts.values()];
}
const ordersOf = (facts: Facts): readonly PlannedRequest[] =>
  identities(facts).filter(({ flaw }) => flaw === undefined);

/** What an ingress may answer: it takes the event, or says that it cannot now, or what is wrong with it. */
const STATUS_OF_FLAW = { no_json: 400, breaks_contract: 422, unknown_type: 202 } as const;

function badAnswers(facts: Facts): readonly string[] {
  const found: string[] = [];
  const requests = new Map(identities(facts).map((request) => [request.id, request]));
  const taken = new Map<string, number>();
  for (const { id, httpStatus, result, code, hasRetryAfter } of facts.answers) {
    const flaw = requests.get(id)?.flaw;
    const final = flaw === undefined ? 202 : STATUS_OF_FLAW[flaw];
    // A body that did not come while the process stood still: its sender is asked to send it again.
    const passes = httpStatus === 503 ? hasRetryAfter : httpStatus === 408;
    if (httpStatus !== undefined && httpStatus !== final && !passes) {
      found.push(`${id} was answered ${httpStatus} ${code ?? ''} where ${final} is due`);
    }
    if (result === 'accepted') taken.set(id, (taken.get(id) ?? 0) + 1);
    const isKnown = flaw === undefined ? ['accepted', 'duplicate'] : ['rejected'];
    if (result !== undefined && !isKnown.includes(result)) {
      found.push(`${id} was told to be ${result}`);
    }
  }
  for (const [id, times] of taken) {
    if (times > 1) found.push(`${id} was told ${times} times to be accepted for the first time`);
  }
  return found;
}

const FLOWS_OF: Readonly<Record<Fate, readonly string[]>> = {
  plain: ['digest', 'ledger', 'record'],
  parks: ['digest', 'ledger', 'record'],
  undone: ['digest', 'fulfil', 'ledger', 'record'],
  noted: ['digest', 'ledger', 'record', 'relay'],
};

/** Every accepted event is there once, has one delivery for each of its flows, and each of those one outcome. */
function badEvents(facts: Facts): readonly string[] {
  const found: string[] = [];
  for (const { id, flaw, fate } of identities(facts)) {
    const rows = facts.events.get(id) ?? [];
    const due = flaw === undefined ? 1 : 0;
    if (rows.length !== due) found.push(`the journal has ${id} ${rows.length} times, not ${due}`);
    for (const row of rows) found.push(...badDeliveries(row, id, FLOWS_OF[fate], fate === 'parks'));
  }
  const noted = ordersOf(facts).filter(({ fate }) => fate === 'noted').length;
  if (facts.emitted.length !== noted) {
    found.push(`flows have emitted ${facts.emitted.length} events, not ${noted}`);
  }
  for (const row of facts.emitted) found.push(...badDeliveries(row, row.event.id, ['note'], false));
  return found;
}

function badDeliveries(
  { deliveries }: EventRow,
  id: string,
  flows: readonly string[],
  parks: boolean,
): readonly string[] {
  const found: string[] = [];
  const given = deliveries.map(({ flow }) => flow).sort();
  if (given.join() !== flows.join()) found.push(`${id} was given to ${given}, not to ${flows}`);
  for (const { run, flow, number, state, settlement } of deliveries) {
    const due = parks && flow === 'record' ? undefined : 'completed';
    if (settlement?.outcome === due) continue;
    const outcome = settlement === undefined ? `none (${state})` : settlement.outcome;
    found.push(`delivery ${number} of ${run} has the outcome ${outcome}, not ${due ?? 'none'}`);
  }
  return found;
}

/** Numbers of a run have no gaps, and what a customer's runs did came in the order of the numbers. */
function badOrder(facts: Facts): readonly string[] {
  const found: string[] = [];
  const runs = new Map<string, { readonly number: number; readonly id: string }[]>();
  for (const rows of facts.events.values()) {
    for (const { event, deliveries } of rows) {
      for (const { run, number } of deliveries) {
        runs.set(run, [...(runs.get(run) ?? []), { number, id: event.id }]);
      }
    }
  }
  for (const [run, given] of runs) {
    const inOrder = given.sort((one, other) => one.number - other.number);
    if (inOrder.some(({ number }, place) => number !== place + 1)) {
      found.push(`${run} has the numbers ${inOrder.map(({ number }) => number)}`);
    }
    const [flow = '', , customer] = run.split(':');
    if (flow !== 'ledger' && flow !== 'digest') continue;
    const done = [...facts.effects.values()]
      .filter(({ path, body }) => path === `/${flow}` && customerOf(body) === customer)
      .flatMap(ordersIn);
    const due = inOrder.map(({ id }) => id);
    if (done.join() !== due.join()) found.push(`${run} did ${difference(done, due)}`);
  }
  return found;
}

const customerOf = (body: unknown): unknown => (body as { readonly customer?: unknown }).customer;

/** Where two lists part: whole lists would be thousands of words. */
function difference(done: readonly string[], due: readonly string[]): string {
  const place = due.findIndex((id, index) => done[index] !== id);
  const at = place === -1 ? due.length : place;
  const shown = (ids: readonly string[]): string => ids.slice(at, at + 4).join(' ') || 'nothing';
  return `${shown(done)} at place ${at + 1} of ${due.length}, where ${shown(due)} is due`;
}

/** What an order of each fate does outside, besides ledger and digest, in its order within each flow. */
const EFFECTS_OF: Readonly<Record<Fate, readonly (readonly string[])[]>> = {
  plain: [['/reserved', '/confirmed']],
  parks: [],
  // What was refused is undone too: nobody can know whether it was done all the same.
  undone: [
    ['/reserved', '/confirmed'],
    ['/charge', '/recall', '/refund'],
  ],
  noted: [['/reserved', '/confirmed'], ['/noted']],
};
const OF_CUSTOMERS = ['/ledger', '/digest'];

/**
 * Every effect happened once: at a receiver that does what comes with a new idempotency key and answers
 * a known one without doing it again, each thing that is to be done was done under exactly one key. Calls
 * may repeat, with the same key and the same body.
 */
function badEffects(facts: Facts): readonly string[] {
  const found = facts.conflicts.map((key) => `the key ${key} was used for two effects`);
  const done = new Map<string, string[]>();
  for (const effect of facts.effects.values()) {
    if (OF_CUSTOMERS.includes(effect.path)) continue;
    for (const order of ordersIn(effect)) {
      done.set(order, [...(done.get(order) ?? []), effect.path]);
    }
  }
  for (const { id, fate } of ordersOf(facts)) {
    const paths = done.get(id) ?? [];
    done.delete(id);
    for (const due of EFFECTS_OF[fate]) {
      const these = paths.filter((path) => due.includes(path));
      if (these.join() !== due.join()) {
        found.push(
          `${id} (${fate}) did ${these.join(' ') || 'nothing'} where ${due.join(' ')} is due`,
        );
      }
    }
    const others = paths.filter((path) => !EFFECTS_OF[fate].flat().includes(path));
    if (others.length > 0) found.push(`${id} (${fate}) did ${others.join(' ')}, which is not its`);
  }
  for (const [order, paths] of done) found.push(`${order} did ${paths}, and was never an order`);
  return found;
}

/** What is settled is not worked on again: a receiver that knows the key answers as if it had not been. */
function badRepetitions({ calledBy }: Facts): readonly string[] {
  return [...calledBy]
    .filter(([, executions]) => executions.length > 1)
    .map(([key, executions]) => `the key ${key} was called for by ${executions.join(' and ')}`);
}

/** A person is asked only about what the plan has made so. */
function badDeadLetters(facts: Facts): readonly string[] {
  const due = identities(facts).flatMap(({ id, flaw, fate }) => {
    if (flaw === undefined) return fate === 'parks' ? [`parked ${id}`] : [];
    return flaw === 'no_json' ? [] : [`rejected ${id}`];
  });
  const parked = ordersOf(facts).filter(({ fate }) => fate === 'parks');
  const idOfRun = (run: string): string =>
    parked.find(({ id }) => run.endsWith(`/${id}`))?.id ?? run;
  const given = facts.deadLetters.map((letter) => {
    if (letter.kind === 'rejected') return `rejected ${letter.id}`;
    const run = 'run' in letter ? letter.run : letter.deadLetter;
    return `${letter.kind} ${idOfRun(run)}`;
  });
  const open = facts.openWorkflows.map(idOfRun);
  const parkedIds = parked.map(({ id }) => id);
  return [
    ...without(due, given).map((letter) => `there is no dead letter: ${letter}`),
    ...without(given, due).map((letter) => `there is a dead letter: ${letter}`),
    ...without(parkedIds, open).map((id) => `the workflow of ${id}, which is parked, has ended`),
    ...without(open, parkedIds).map((run) => `the workflow of ${run} has not ended`),
  ];
}

/** Each item takes away one. */
function without(all: readonly string[], taken: readonly string[]): readonly string[] {
  const left = [...taken];
  return all.filter((item) => {
    const place = left.indexOf(item);
    if (place === -1) return true;
    left.splice(place, 1);
    return false;
  });
}

/** A process that cannot reach PostgreSQL when it starts says so and ends: its supervisor starts it again. */
function badProcesses({ earlyEnds, exitCodes, complaints }: Facts): readonly string[] {
  return [
    ...earlyEnds
      .filter(({ output }) => !output.includes('[journal_unavailable]'))
      .map(({ process, output }) => `${process} ended by itself: ${output.slice(-2_000)}`),
    ...[...exitCodes]
      .filter(([, code]) => code !== 0)
      .map(([process, code]) => `${process} ended with ${code} when it was told to end`),
    ...complaints.map((line) => `printed: ${line}`),
  ];
}
