import { performance } from 'node:perf_hooks';
import type { Logger } from '../telemetry.ts';
import {
  expectedDelayMs,
  NOTHING_SHED,
  nextShedState,
  type Priority,
  type ShedCause,
  type ShedLimits,
  type ShedState,
  shedCause,
} from './shedding.ts';

export interface SheddingMonitor {
  /** Counts a commit while it is waited for. */
  awaiting<Result>(commit: Promise<Result>): Promise<Result>;
  /** Why a request of this priority is to be refused now; undefined when it is let in. */
  refuses(priority: Priority): ShedCause | undefined;
  state(): ShedState;
  stop(): void;
}

export interface SheddingMonitorOptions {
  readonly limits: ShedLimits;
  /** Deliveries that wait in the journal, as far as is known. */
  readonly backlogDeliveries: () => number;
  readonly logger: Logger;
  /** Told how late each tick came. */
  readonly onTick?: (lateMs: number) => void;
}

/** Often enough that what is let in between two ticks is answered in time; seldom enough to cost nothing. */
const TICK_MS = 100;

/** How much of the rate of commits the last tick makes. */
const RATE_WEIGHT = 0.2;

/**
 * Measures ten times a second how long an answer would take: the lateness of its own timer, which is what
 * everything else in the event loop waits too, and the age of the oldest commit that is waited for. Between two
 * ticks hundreds of requests can come, so each one is also held against the commits that are ahead of it.
 */
export function startSheddingMonitor(options: SheddingMonitorOptions): SheddingMonitor {
  const { limits, logger } = options;
  const commits = new Set<{ readonly sinceMs: number }>();
  let slowestCommitMs = 0;
  let committed = 0;
  let committedPerSecond = 0;
  let tickedAt = performance.now();
  let state: ShedState = NOTHING_SHED;

  const timer = setInterval(() => {
    const now = performance.now();
    const lateMs = Math.max(0, now - tickedAt - TICK_MS);
    const perSecond = (1_000 * committed) / (now - tickedAt);
    committedPerSecond += RATE_WEIGHT * (perSecond - committedPerSecond);
    committed = 0;
    tickedAt = now;
    options.onTick?.(lateMs);
    const [oldest] = commits;
    const commitMs = Math.max(slowestCommitMs, oldest === undefined ? 0 : now - oldest.sinceMs);
    slowestCommitMs = 0;
    const measure = {
      backlogDeliveries: options.backlogDeliveries(),
      answerDelayMs: Math.max(lateMs, commitMs),
    };
    const next = nextShedState(state, measure, limits);
    if (next.backlog !== state.backlog || next.delay !== state.delay) {
      logger.warn(
        { before: state, now: next, ...measure, answerDelayMs: Math.round(measure.answerDelayMs) },
        'what is let in has changed',
      );
    }
    state = next;
  }, TICK_MS);
  timer.unref();

  return {
    async awaiting(commit) {
      const waited = { sinceMs: performance.now() };
      commits.add(waited);
      try {
        return await commit;
      } finally {
        commits.delete(waited);
        committed += 1;
        slowestCommitMs = Math.max(slowestCommitMs, performance.now() - waited.sinceMs);
      }
    },
    refuses(priority) {
      const delayMs = expectedDelayMs(commits.size, committedPerSecond);
      return delayMs >= limits.answerDelayMs[priority] ? 'delay' : shedCause(state, priority);
    },
    state: () => state,
    stop: () => clearInterval(timer),
  };
}
