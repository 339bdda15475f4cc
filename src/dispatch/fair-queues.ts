import { parseRunId, type RunId } from '../model/run.ts';
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
   * next turn as long as one with a single run. Within a tenant, who waits longest is first.
   */
  turns(): Iterable<RunQueue>;
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
    *turns() {
      // Lines are opened as they are come to: most of the time only the first few get a turn.
      let lines: Iterable<Iterator<RunQueue>> = opened(tenants.values());
      let left: Iterator<RunQueue>[];
      do {
        left = [];
        for (const line of lines) {
          const { done, value } = line.next();
          if (done) continue;
          left.push(line);
          yield value;
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

function* opened(
  lines: Iterable<ReadonlyMap<RunId, RunQueue>>,
): Generator<Iterator<RunQueue, undefined>> {
  for (const line of lines) yield line.values();
}

const tenantOf = (run: RunId): string => parseRunId(run)?.tenant ?? '';
