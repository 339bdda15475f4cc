import { repeat } from '../repeat.ts';
import type { Logger } from '../telemetry.ts';

/** What the journal says of itself, the last time it was asked. */
export interface Watched<Value> {
  readonly value: Value;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

export interface Watch<Value> {
  /** Undefined until the first answer; the last answer while no new one comes. */
  last(): Watched<Value> | undefined;
  stop(): Promise<void>;
}

/** How many intervals a pause may be: a database that hung once must not leave the door shut for minutes. */
const PAUSE_INTERVALS_MAX = 15;

/**
 * Asks at once and then in an interval, whoever looks at the answer and how often. A question that takes long
 * is asked more seldom, so that it takes no more than a twentieth of the time, within a bound.
 */
export function watch<Value>(
  ask: () => Promise<Value>,
  { everyMs, failure, logger }: { everyMs: number; failure: string; logger: Logger },
): Watch<Value> {
  let last: Watched<Value> | undefined;
  const askOnce = async (): Promise<void> => {
    last = { value: await ask(), atMs: Date.now() };
  };
  // Once per outage in the log: what fails here fails elsewhere too.
  const { stop } = repeat(askOnce, {
    everyMs: (tookMs) => Math.min(Math.max(everyMs, 20 * tookMs), PAUSE_INTERVALS_MAX * everyMs),
    failure,
    logger,
    letsProcessEnd: true,
  });
  return { last: () => last, stop };
}
