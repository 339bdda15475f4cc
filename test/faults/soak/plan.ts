/** What is sent and what fails, when and where: all of it from a seed, so that a run can be repeated. */
import { seededRandom } from '../../support/random.ts';

export type NodeName = 'ingress-1' | 'ingress-2' | 'worker-1' | 'worker-2';
export type Backend = 'postgres' | 'temporal';

export type Fault =
  /** `kill -9`; started again when the fault is over. */
  | { readonly kind: 'kill'; readonly on: NodeName | Backend }
  /** SIGSTOP; SIGCONT when the fault is over. */
  | { readonly kind: 'pause'; readonly on: NodeName | 'temporal' }
  /** SIGSTOP of PostgreSQL's process for one of this one's connections, in the middle of a statement if there is one. */
  | { readonly kind: 'pauseConnection'; readonly on: NodeName }
  /** Between a process and what it uses: connections break, cannot be made, carry nothing for a time, or no answers. */
  | {
      readonly kind: 'cut' | 'refused' | 'hung' | 'unanswered';
      readonly on: NodeName;
      readonly to: Backend;
    }
  /** Each chunk between them takes this much longer, as with a slow disk or a bad network. */
  | {
      readonly kind: 'slow';
      readonly on: NodeName;
      readonly to: Backend;
      readonly chunkMs: number;
    }
  /** The clock steps, and stays off by this much. */
  | { readonly kind: 'clock'; readonly on: NodeName; readonly stepMs: number }
  /** SIGSTOP of Temporal with a burst of events, until the ingress refuses more (bounded by `forMs`). */
  | { readonly kind: 'backlog' };

/** Victims of one kind: processes, what they use, and the ways between. */
export type Track = 'nodes' | 'backends' | 'ways';

export interface PlannedFault {
  /** A fault waits until the one before it on its track is over. */
  readonly track: Track;
  readonly atMs: number;
  readonly forMs: number;
  readonly fault: Fault;
}

/** `plain`: only what comes of every order. The others are for the flows of fixtures/soak. */
export type Fate = 'plain' | 'parks' | 'undone' | 'noted';

/** What is wrong with a request: its sender is told, and it is no event of a flow. */
export type Flaw = 'no_json' | 'breaks_contract' | 'unknown_type';

export interface PlannedRequest {
  readonly atMs: number;
  /** The event's identity: a sender that repeats a request keeps it. */
  readonly id: string;
  readonly customer: string;
  readonly fate: Fate;
  readonly flaw?: Flaw;
}

export interface Plan {
  readonly seed: number;
  readonly seconds: number;
  /** Two ingresses and two workers, or one of each. */
  readonly twoOfEach: boolean;
  /** By time; some identities come twice. */
  readonly requests: readonly PlannedRequest[];
  /** By time. */
  readonly faults: readonly PlannedFault[];
  /** Of the outside system's answers, how many are failures, and how many are lost after it did what was asked. */
  readonly receiver: { readonly fails: number; readonly loses: number };
}

const EVENTS_PER_SECOND = 8;
const BURST_EVENTS = 80;
const CUSTOMERS = 5;
/** A request may be overtaken by those that come so much later. */
const SHUFFLE_MS = 400;
/** A second request with the same identity comes so much later at most. */
const TWICE_WITHIN_MS = 4_000;
const MINUTE_MS = 60_000;

type Random = () => number;
const pick = <Item>(random: Random, items: readonly [Item, ...Item[]]): Item =>
  items[Math.floor(random() * items.length)] ?? items[0];
const between = (random: Random, least: number, most: number): number =>
  Math.round(least + random() * (most - least));
const chance = (random: Random, probability: number): boolean => random() < probability;

export function planFor(seed: number, seconds: number): Plan {
  // Apart, so that what is sent does not change with the list of faults.
  const random = seededRandom(seed);
  const twoOfEach = chance(random, 0.7);
  const faults = faultsFor(seededRandom(seed + 1), seconds * 1_000, twoOfEach);
  const bursts = faults.filter(({ fault }) => fault.kind === 'backlog').map(({ atMs }) => atMs);
  return {
    seed,
    seconds,
    twoOfEach,
    requests: requestsFor(random, seconds, bursts),
    faults,
    receiver: pick(random, [
      { fails: 0, loses: 0 },
      { fails: 0.05, loses: 0.05 },
    ]),
  };
}

/** One line for each fault, for people. */
export const describePlan = (plan: Plan): string =>
  [
    `seed ${plan.seed}, ${plan.seconds} s, ${plan.twoOfEach ? 'two ingresses and two workers' : 'one ingress and one worker'}, ${plan.requests.length} requests, receiver ${JSON.stringify(plan.receiver)}`,
    ...plan.faults.map(({ atMs, forMs, fault }) => {
      const { kind, ...where } = fault;
      return `  ${(atMs / 1_000).toFixed(1).padStart(5)} s  ${[kind, ...Object.values(where)].join(' ')} for ${(forMs / 1_000).toFixed(1)} s`;
    }),
  ].join('\n');

function requestsFor(
  random: Random,
  seconds: number,
  bursts: readonly number[],
): readonly PlannedRequest[] {
  const regular = Array.from(
    { length: seconds * EVENTS_PER_SECOND },
    (_, n) => (n * 1_000) / EVENTS_PER_SECOND + random() * SHUFFLE_MS,
  );
  const burst = bursts.flatMap((atMs) =>
    Array.from({ length: BURST_EVENTS }, () => atMs + random() * 1_000),
  );
  const once = [...regular, ...burst].map((atMs, n): PlannedRequest => {
    const flaw = chance(random, 0.05)
      ? pick<Flaw>(random, ['no_json', 'breaks_contract', 'unknown_type'])
      : undefined;
    return {
      atMs: Math.round(atMs),
      id: `${flaw ?? 'order'}-${n}`,
      customer: `c${between(random, 1, CUSTOMERS)}`,
      fate: fateFor(random),
      ...(flaw === undefined ? {} : { flaw }),
    };
  });
  const again = once
    .filter(() => chance(random, 0.15))
    .map((request) => ({
      ...request,
      atMs: request.atMs + between(random, 0, TWICE_WITHIN_MS),
    }));
  return [...once, ...again].sort((one, other) => one.atMs - other.atMs);
}

function fateFor(random: Random): Fate {
  const luck = random();
  if (luck < 0.02) return 'parks';
  if (luck < 0.12) return 'undone';
  return luck < 0.22 ? 'noted' : 'plain';
}

/** Three tracks, each with one fault after the other: so faults come together, and none undoes another. */
function faultsFor(random: Random, untilMs: number, twoOfEach: boolean): readonly PlannedFault[] {
  const nodes: readonly [NodeName, ...NodeName[]] = twoOfEach
    ? ['ingress-1', 'ingress-2', 'worker-1', 'worker-2']
    : ['ingress-1', 'worker-1'];
  const node = (): NodeName => pick(random, nodes);
  const backend = (): Backend => pick<Backend>(random, ['postgres', 'temporal']);
  const ofNodes = (): Fault => {
    const luck = random();
    if (luck < 0.45) return { kind: 'kill', on: node() };
    if (luck < 0.8) return { kind: 'pause', on: node() };
    const minutes = between(random, 5, 30) * pick(random, [1, -1]);
    return { kind: 'clock', on: node(), stepMs: minutes * MINUTE_MS };
  };
  const ofBackends = (): Fault => {
    const luck = random();
    if (luck < 0.25) return { kind: 'kill', on: 'temporal' };
    if (luck < 0.45) return { kind: 'kill', on: 'postgres' };
    if (luck < 0.65) return { kind: 'pause', on: 'temporal' };
    return luck < 0.85 ? { kind: 'pauseConnection', on: node() } : { kind: 'backlog' };
  };
  const ofWays = (): Fault => {
    const on = node();
    const to = backend();
    const kind = pick(random, ['cut', 'refused', 'hung', 'unanswered', 'slow'] as const);
    return kind === 'slow' ? { kind, on, to, chunkMs: between(random, 5, 150) } : { kind, on, to };
  };
  return [
    ...trackOf('nodes', random, { untilMs, next: ofNodes }),
    ...trackOf('backends', random, { untilMs, next: ofBackends }),
    ...trackOf('ways', random, { untilMs, next: ofWays }),
  ].sort((one, other) => one.atMs - other.atMs);
}

function trackOf(
  track: Track,
  random: Random,
  { untilMs, next }: { readonly untilMs: number; readonly next: () => Fault },
): readonly PlannedFault[] {
  const planned: PlannedFault[] = [];
  for (let atMs = between(random, 200, 2_500); atMs < untilMs; ) {
    const fault = next();
    const forMs = lengthOf(random, fault);
    planned.push({ track, atMs, forMs, fault });
    atMs += forMs + between(random, 300, 3_000);
  }
  return planned;
}

function lengthOf(random: Random, { kind }: Fault): number {
  switch (kind) {
    case 'kill':
      return between(random, 0, 1_500);
    case 'cut':
    case 'clock':
      return 0;
    case 'backlog':
      return 12_000;
    case 'slow':
      return between(random, 1_000, 6_000);
    case 'pause':
    case 'pauseConnection':
    case 'refused':
    case 'hung':
    case 'unanswered':
      // Now and then longer than leases, deadlines and statements may take.
      return chance(random, 0.25) ? between(random, 10_500, 14_000) : between(random, 300, 4_000);
    default:
      return kind satisfies never;
  }
}
