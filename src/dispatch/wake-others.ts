import type { Journal } from '../journal/journal.ts';
import { messageOf } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';
import { type OneAtATime, oneAtATime } from './one-at-a-time.ts';

/** Tells other dispatchers of what has come in by this process for their lanes. */
export interface WakeOthers extends Pick<OneAtATime, 'stop'> {
  wake(lanes: Iterable<number>): void;
}

/** Wakes other dispatchers at most once in a time, for all lanes that were named since. */
export function wakeOthers(options: {
  readonly journal: Pick<Journal, 'wake'>;
  readonly logger: Logger;
  readonly pauseMs: number;
}): WakeOthers {
  const { journal, logger, pauseMs } = options;
  const lanes = new Set<number>();

  async function call(): Promise<void> {
    const woken = [...lanes];
    lanes.clear();
    await journal.wake(woken);
  }

  const calls = oneAtATime(call, {
    // Their next poll finds it.
    onFailure: (error) =>
      logger.debug({ reason: messageOf(error) }, 'could not wake other dispatchers'),
    pauseMs,
  });
  return {
    wake(named) {
      for (const lane of named) lanes.add(lane);
      if (lanes.size > 0) calls.ask();
    },
    stop: calls.stop,
  };
}
