import { messageOf } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';

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
  options: { readonly everyMs: number; readonly failure: string; readonly logger: Logger },
): Repetition {
  const { everyMs, failure, logger } = options;
  let isFailing = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round = Promise.resolve();

  const next = async (): Promise<void> => {
    try {
      await task();
      if (isFailing) logger.info(`${failure}: works again`);
      isFailing = false;
    } catch (error) {
      if (!isFailing) logger.warn({ reason: messageOf(error) }, failure);
      isFailing = true;
    }
    if (isStopped) return;
    timer = setTimeout(() => {
      round = next();
    }, everyMs);
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
