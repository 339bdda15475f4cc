import { setTimeout as sleep } from 'node:timers/promises';
import { TransportError } from '@temporalio/worker';
import { messageOf, TidegateError } from '../model/error.ts';
import type { Logger } from '../telemetry.ts';

const PAUSE_MS = 2_000;

/**
 * Starts what needs Temporal, and waits as long as Temporal is away: processes come up in any order,
 * and a worker that ended instead would have to be started by somebody.
 */
export async function whenTemporalAnswers<Started>(
  start: () => Promise<Started>,
  logger: Logger,
): Promise<Started> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!isAway(error)) throw error;
      if (attempt === 1) logger.warn({ reason: messageOf(error) }, 'waiting for Temporal');
      await sleep(PAUSE_MS);
    }
  }
}

const isAway = (error: unknown): boolean =>
  TidegateError.is(error, 'temporal_unavailable') || error instanceof TransportError;
