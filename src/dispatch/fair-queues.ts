import type { RunId } from '../model/run.ts';
import { type CallsInFlight, tenantOf } from './calls-in-flight.ts';
import type { RunQueue } from './run-queue.ts';

/** The queues of runs that have something to send, in the order of their turns. */
export interface FairQueues {
  get(run: RunId): RunQueue | undefined;
  has(run: RunId): boolean;
  /** Puts a run at the end of its tenant's line. */
  add(queue: RunQueue): void;
  delete(run: RunId): void;
  /** All of them, in no order. */
  all(): Iterable<RunQueue>;
  /**
   * A run of each tenant, then a second of each, and so on: a tenant with 100,000 runs waits for its
   * next turn as long as one with a single run. Within a tenant, who waits longest is first. A run that is not
   * due does not use up its tenant's turn; when one that is due is not allowed one, its tenant has no further turn.
   */
  turns(choice?: {
    /** @default all are */
    readonly isDue?: (queue: RunQueue) => boolean;
    /** Asked of a run that is due. @default all are */
    readonly isAllowed?: (queue: RunQueue) => boolean;
  }): Iterable<RunQueue>;
  /** Its tenant has had a turn: the others come before it. Not while `turns` is being read. */
  served(queue: RunQueue): void;
}

export function fairQueues(): FairQueues {
  const byRun = new Map<RunId, RunQueue>();
  /** In the order of turns: who was served last is last. */
  const tenants = new Map<string, Map<RunId, RunQueue>>();

  const remove = (run: RunId): void => {
    if (!byRun.delete(run)) return;
    const tenant = tenantOf(run);
    const line = tenants.get(tenant);
    line?.delete(run);
    if (line?.size === 0) tenants.delete(tenant);
  };

  return {
    get: (run) => byRun.get(run),
    has: (run) => byRun.has(run),
    add(queue) {
      remove(queue.run);
      byRun.set(queue.run, queue);
      const tenant = tenantOf(queue.run);
      const line = tenants.get(tenant);
      if (line === undefined) tenants.set(tenant, new Map([[queue.run, queue]]));
      else line.set(queue.run, queue);
    },
    delete: remove,
    all: () => byRun.values(),
    *turns({ isDue = () => true, isAllowed = () => true } = {}) {
      // Lines are opened as they are come to: most of the time only the first few get a turn.
      let lines: Iterable<Iterator<RunQueue, undefined>> = opened(tenants.values());
      let left: Iterator<RunQueue, undefined>[];
      do {
        left = [];
        for (const line of lines) {
          const next = nextDue(line, isDue);
          if (next === undefined || !isAllowed(next)) continue;
          left.push(line);
          yield next;
        }
        lines = left;
      } while (left.length > 0);
    },
    served(queue) {
      const tenant = tenantOf(queue.run);
      const line = tenants.get(tenant);
      if (line === undefined) return;
      tenants.delete(tenant);
      tenants.set(tenant, line);
    },
  };
}

/** Whose turn it is, and when to look again. */
export interface Turns {
  readonly taken: readonly RunQueue[];
  /** Whether more would have a turn now. */
  readonly isMoreDue: boolean;
  /** When the next of those that are not due will be; infinite when there is none. */
  readonly nextAt: number;
}

/**
 * Takes the next turns, as many as calls may begin now; each counts as a call under way from now on. Two
 * invariants of fairness:
 *
 * From when a tenant that has less than its share of the places has a run that is due, until that run or another
 * of the tenant has its turn, no other tenant has more than one turn. So with the backlogs of N tenants
 * before it, a single event waits for at most N calls to begin, however long those backlogs are.
 *
 * No tenant begins a call beyond its share. So calls that hang, of one run or of all runs of a tenant, hold up no
 * other tenant.
 *
 * @param places how many calls may be under way.
 */
export function takeTurns(
  queues: FairQueues,
  calls: CallsInFlight,
  { now, places }: { readonly now: number; readonly places: number },
): Turns {
  const taken: RunQueue[] = [];
  let isMoreDue = false;
  let nextAt = Number.POSITIVE_INFINITY;
  const isDue = ({ isSending, notBefore }: RunQueue): boolean => {
    if (isSending) return false;
    if (notBefore > now) nextAt = Math.min(nextAt, notBefore);
    return notBefore <= now;
  };
  const hasShare = ({ run }: RunQueue): boolean => {
    const has = calls.hasShare(run, places);
    isMoreDue ||= !has;
    return has;
  };
  for (const queue of queues.turns({ isDue, isAllowed: hasShare })) {
    if (calls.all() >= places) {
      isMoreDue = true;
      break;
    }
    calls.begin(queue.run);
    taken.push(queue);
  }
  for (const queue of taken) queues.served(queue);
  return { taken, isMoreDue, nextAt };
}

function nextDue(
  line: Iterator<RunQueue, undefined>,
  isDue: (queue: RunQueue) => boolean,
): RunQueue | undefined {
  for (;;) {
    const { value } = line.next();
    if (value === undefined || isDue(value)) return value;
  }
}

function* opened(
  lines: Iterable<ReadonlyMap<RunId, RunQueue>>,
): Generator<Iterator<RunQueue, undefined>> {
  for (const line of lines) yield line.values();
}
