/**
 * When a run of a flow with `throttle` or `concurrency` may begin. The rule, without a clock and
 * without a database.
 */
import type { FlowLimits } from './flow-registry.ts';
import type { RunId } from './run.ts';

/** A run that waits for its slots, and the keys under which it shares them. */
export interface WaitingRun {
  readonly run: RunId;
  readonly concurrencyKey: string;
  readonly throttleKey: string;
}

/** How a flow stands in one tenant, at a time; all times in milliseconds on one clock. */
export interface Standing {
  readonly now: number;
  /** The oldest first. Of runs with the same two keys, none is left out before one that is here. */
  readonly waiting: readonly WaitingRun[];
  /** How many runs are open, by concurrency key. */
  readonly open: ReadonlyMap<string, number>;
  /** When the latest runs began, in order, by throttle key. One about to begin counts as begun now. */
  readonly begins: ReadonlyMap<string, readonly number[]>;
}

export interface Verdict {
  /** Those that begin now, the oldest first. */
  readonly admitted: readonly RunId[];
  /** When to look again at what only time holds back: once for each pair of keys. */
  readonly lookAgain: readonly (Omit<WaitingRun, 'run'> & { readonly at: number })[];
}

/**
 * Admits every run that both limits let begin, the oldest first. A run that one limit holds back does
 * not hold back a younger one that shares only the other with it.
 */
export function admit(standing: Standing, { throttle, concurrency }: FlowLimits): Verdict {
  const { now, waiting } = standing;
  const open = new Map(standing.open);
  const begins = new Map(standing.begins);
  const admitted: RunId[] = [];
  const lookAgain = new Map<string, Verdict['lookAgain'][number]>();
  for (const { run, concurrencyKey, throttleKey } of waiting) {
    const openRuns = open.get(concurrencyKey) ?? 0;
    // No need to look again by the clock: a run that ends has it looked at.
    if (concurrency !== undefined && openRuns >= concurrency.limit) continue;
    const begun = begins.get(throttleKey) ?? [];
    const at = throttle === undefined ? now : nextBegin(begun, throttle, now);
    if (at > now) {
      const pair = JSON.stringify([concurrencyKey, throttleKey]);
      lookAgain.set(pair, { concurrencyKey, throttleKey, at });
      continue;
    }
    admitted.push(run);
    open.set(concurrencyKey, openRuns + 1);
    begins.set(throttleKey, [...begun, now]);
  }
  return { admitted, lookAgain: [...lookAgain.values()] };
}

/**
 * When one more run may begin, `now` at the earliest: at most `limit` begin in any time of `perMs`,
 * which includes its start and not its end.
 *
 * @param begins when the latest began, in order; at least the last `limit` of them.
 */
export function nextBegin(
  begins: readonly number[],
  { limit, perMs }: NonNullable<FlowLimits['throttle']>,
  now: number,
): number {
  const limitth = begins[begins.length - limit];
  return limitth === undefined ? now : Math.max(now, limitth + perMs);
}
