import { setTimeout as sleep } from 'node:timers/promises';
import type { NumberedDelivery } from '../../journal/deliveries.ts';
import type { Journal } from '../../journal/journal.ts';
import type { RunRow } from '../../journal/rows.ts';
import { LIMITS } from '../../model/limits.ts';
import type { RunId } from '../../model/run.ts';
import type { EventResult } from '../exchange.ts';
import type { Committed } from './commit.ts';

const POLL_MS = 100;
/** Runs asked for at a time, so that one batch does not occupy the journal. */
const POLLED_RUNS_MAX = 50;

/**
 * The seconds of `Prefer: wait=N` (RFC 7240), at most `LIMITS.waitSecondsMax`; undefined when the
 * sender does not ask for it, or not with a number.
 */
export function preferredWait(prefer: string | undefined): number | undefined {
  for (const preference of (prefer ?? '').split(',')) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,6})"?\s*(?:;.*)?$/i.exec(preference)?.[1];
    if (seconds !== undefined) return Math.min(Number(seconds), LIMITS.waitSecondsMax);
  }
  return undefined;
}

/**
 * Adds to every delivery what became of it: the outcome of its run, `parked` when a person is asked,
 * or `pending` when the time was over. What is committed stays so, whatever happens here.
 */
export async function waitForOutcomes(
  committed: readonly Committed[],
  options: {
    readonly journal: Pick<Journal, 'findRun'>;
    readonly waitMs: number;
    /** Aborted when the sender has gone. */
    readonly signal: AbortSignal;
  },
): Promise<readonly EventResult[]> {
  const deliveries = committed.flatMap((each) => each.deliveries);
  const outcomes = new Map<string, string>();
  const deadline = performance.now() + options.waitMs;
  for (;;) {
    // The journal may be away for a moment: the next look tells, or the answer says `pending`.
    await lookUp(deliveries, outcomes, options.journal).catch(() => undefined);
    const left = deadline - performance.now();
    if (outcomes.size === deliveries.length || left <= 0 || options.signal.aborted) break;
    await sleep(Math.min(POLL_MS, left), undefined, { signal: options.signal }).catch(
      () => undefined,
    );
  }
  return committed.map(({ result, deliveries: numbered }) => ({
    ...result,
    deliveries: result.deliveries.map((delivery, index) => ({
      ...delivery,
      outcome: outcomes.get(nameOf(numbered[index])) ?? 'pending',
    })),
  }));
}

async function lookUp(
  deliveries: readonly NumberedDelivery[],
  outcomes: Map<string, string>,
  journal: Pick<Journal, 'findRun'>,
): Promise<void> {
  const open = deliveries.filter((delivery) => !outcomes.has(nameOf(delivery)));
  const runs = [...new Set(open.map(({ run }) => run))].slice(0, POLLED_RUNS_MAX);
  const rows = new Map<RunId, RunRow | undefined>();
  for (const run of runs) rows.set(run, await journal.findRun(run));
  for (const delivery of open) {
    const outcome = outcomeOf(delivery.number, rows.get(delivery.run));
    if (outcome !== undefined) outcomes.set(nameOf(delivery), outcome);
  }
}

function outcomeOf(number: number, run: RunRow | undefined): string | undefined {
  const settlement = run?.settlements.find(
    ({ fromNumber, throughNumber }) => fromNumber <= number && number <= throughNumber,
  );
  if (settlement !== undefined) return settlement.outcome;
  return run?.status === 'parked' ? 'parked' : undefined;
}

const nameOf = (delivery: NumberedDelivery | undefined): string =>
  `${delivery?.number}:${delivery?.run}`;
