import type { PendingRun } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { messageOf } from '../model/error.ts';
import type { FlowLimits } from '../model/flow-registry.ts';
import type { Logger } from '../telemetry.ts';
import { type OneAtATime, oneAtATime } from './one-at-a-time.ts';

/** While a run waits for a slot: how soon one that is free is noticed. */
const ASK_MS = 100;

/**
 * Asks the journal to let runs begin that wait for a slot of their flow's `throttle` or `concurrency`,
 * and asks again for as long as any waits. A request that fails is repeated by whoever asks next.
 */
export function slotRequests(options: {
  readonly journal: Pick<Journal, 'admit'>;
  readonly limits: ReadonlyMap<string, FlowLimits>;
  readonly logger: Logger;
  readonly onAdmitted: (runs: readonly PendingRun[]) => void;
}): OneAtATime {
  const { journal, limits, logger, onAdmitted } = options;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function request(): Promise<void> {
    clearTimeout(timer);
    const { admitted, nextInMs } = await journal.admit(limits);
    onAdmitted(admitted);
    if (nextInMs === undefined || isStopped) return;
    timer = setTimeout(requests.ask, Math.min(nextInMs, ASK_MS));
  }

  const requests = oneAtATime(request, {
    onFailure: (error) => logger.debug({ reason: messageOf(error) }, 'could not ask for slots'),
    pauseMs: 0,
  });

  return {
    ask: requests.ask,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await requests.stop();
    },
  };
}
