/**
 * What is let in while the process or the journal has more than it can do. Low priority goes first, then normal;
 * high is let in up to the hard limit. Decided from two measures: how long an answer would take now, and how much
 * waits in the journal to be sent.
 */
import { LIMITS } from '../model/limits.ts';

/** How much a request matters beside others. */
export type Priority = 'low' | 'normal' | 'high';
export const PRIORITIES: readonly Priority[] = ['low', 'normal', 'high'];

export interface Measure {
  /** Deliveries in the journal that wait to be sent to Temporal. */
  readonly backlogDeliveries: number;
  /** How long what is let in now may wait for its answer. */
  readonly answerDelayMs: number;
}

/** From which value on a priority is refused. */
export type Thresholds = Readonly<Record<Priority, number>>;
export interface ShedLimits {
  readonly backlogDeliveries: Thresholds;
  readonly answerDelayMs: Thresholds;
}

export type ShedCause = 'backlog' | 'delay';

/** How many priorities are refused by each measure, from the lowest: 0 none, 3 all. */
export type ShedLevel = 0 | 1 | 2 | 3;
export type ShedState = Readonly<Record<ShedCause, ShedLevel>>;
export const NOTHING_SHED: ShedState = { backlog: 0, delay: 0 };

/**
 * How far below its threshold a measure must come before a priority is let in again. Delays fall at once when
 * requests are refused, so they have further to go; a backlog changes slowly.
 */
const EASED_AT: Readonly<Record<ShedCause, number>> = { backlog: 0.9, delay: 0.5 };

/** The next state; the same measure twice gives the same state as once. */
export const nextShedState = (
  state: ShedState,
  measure: Measure,
  limits: ShedLimits,
): ShedState => ({
  backlog: nextLevel(
    state.backlog,
    measure.backlogDeliveries,
    limits.backlogDeliveries,
    EASED_AT.backlog,
  ),
  delay: nextLevel(state.delay, measure.answerDelayMs, limits.answerDelayMs, EASED_AT.delay),
});

function nextLevel(
  level: ShedLevel,
  value: number,
  thresholds: Thresholds,
  easedAt: number,
): ShedLevel {
  const refused = PRIORITIES.filter((priority, place) => {
    const threshold = thresholds[priority];
    return value >= (place < level ? threshold * easedAt : threshold);
  });
  return refused.length as ShedLevel;
}

/**
 * How long a commit would wait behind those that are waited for now, at the rate at which they have come back
 * (Little's law). Below `perSecondMin` the rate tells how little was sent, not how little is possible.
 */
export const expectedDelayMs = (
  awaited: number,
  perSecond: number,
  perSecondMin: number = LIMITS.commitsPerSecondMin,
): number => (1_000 * awaited) / Math.max(perSecond, perSecondMin);

/** Why a request of this priority is refused; undefined when it is let in. */
export function shedCause(state: ShedState, priority: Priority): ShedCause | undefined {
  const place = PRIORITIES.indexOf(priority);
  if (place < state.delay) return 'delay';
  return place < state.backlog ? 'backlog' : undefined;
}
