import { messageOf } from '../model/error.ts';
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

/**
 * Asks at once and then in an interval, whoever looks at the answer and how often. A question that takes long
 * is asked more seldom, so that it never takes more than a twentieth of the time.
 */
export function watch<Value>(
  ask: () => Promise<Value>,
  { everyMs, failure, logger }: { everyMs: number; failure: string; logger: Logger },
): Watch<Value> {
  let last: Watched<Value> | undefined;
  let isFailing = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let asking = Promise.resolve();

  async function askOnce(): Promise<void> {
    const startedAt = Date.now();
    try {
      last = { value: await ask(), atMs: Date.now() };
      isFailing = false;
    } catch (error) {
      // Once per outage: what fails here fails elsewhere too.
      if (!isFailing) logger.warn({ reason: messageOf(error) }, failure);
      isFailing = true;
    }
    if (isStopped) return;
    const pauseMs = Math.max(everyMs, 20 * (Date.now() - startedAt));
    timer = setTimeout(() => {
      asking = askOnce();
    }, pauseMs);
    timer.unref();
  }
  asking = askOnce();
  return {
    last: () => last,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await asking;
    },
  };
}
