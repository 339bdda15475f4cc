import { performance } from 'node:perf_hooks';
import { messageOf } from './model/error.ts';
import type { Logger } from './telemetry.ts';

export interface Repetition {
  /** No further round; resolves when the one in hand has ended. */
  stop(): Promise<void>;
}

/**
 * Runs a task again and again, with a pause after each round. A failure is logged once when it begins
 * and once when it is over, however many rounds it lasts.
 */
export function repeat(
  task: () => Promise<void>,
  options: {
    /** The pause after each round, or what makes it of how long the round took, in milliseconds. */
    readonly everyMs: number | ((tookMs: number) => number);
    readonly failure: string;
    readonly logger: Logger;
    /** Whether the process may end while it is between two rounds. @default it may not */
    readonly letsProcessEnd?: true;
  },
): Repetition {
  const { everyMs, failure, logger, letsProcessEnd } = options;
  let isFailing = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round = Promise.resolve();

  const next = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      await task();
      if (isFailing) logger.info(`${failure}: works again`);
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.warn({ reason: messageOf(error) }, failure);
      isFailing = true;
    }
    if (isStopped) return;
    const pauseMs = typeof everyMs === 'number' ? everyMs : everyMs(performance.now() - startedAt);
    timer = setTimeout(() => {
      round = next();
    }, pauseMs);
    if (letsProcessEnd) timer.unref();
  };
  round = next();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}
