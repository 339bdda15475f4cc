import type { Connection } from '@temporalio/client';
import { messageOf, TidegateError } from '../model/error.ts';
import { ensureSearchAttributes } from '../search-attributes.ts';
import type { Logger } from '../telemetry.ts';

const PAUSE_MS = 5_000;

/**
 * Registers the search attributes that every run sets, in the background: an ingress takes events
 * while Temporal is away, and Temporal refuses every delivery without them. Tries until it worked;
 * each outcome is logged once, not at every try.
 */
export function keepRegistering(
  connection: Connection,
  namespace: string,
  logger: Logger,
): { stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let told: string | undefined;

  async function attempt(): Promise<void> {
    try {
      const outcome = await ensureSearchAttributes(connection, namespace);
      if (outcome === 'registered') logger.info('Temporal has the search attributes that runs set');
      else logger.warn('cannot tell whether Temporal has the search attributes that runs set');
    } catch (error) {
      if (isStopped) return;
      const code = TidegateError.is(error) ? error.code : 'internal_error';
      if (code !== told) {
        const reason = messageOf(error);
        logger.error({ code, reason }, 'search attributes are not registered yet; trying on');
      }
      told = code;
      timer = setTimeout(attempt, PAUSE_MS);
    }
  }

  void attempt();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
