import type { Journal } from '../journal/journal.ts';
import { dueBefore } from '../journal/retention-days.ts';
import type { Retention } from '../model/retention.ts';
import { type Repetition, repeat } from '../repeat.ts';
import type { Logger } from '../telemetry.ts';

const EVERY_MS = 3_600_000;

/**
 * Makes room for the next days and erases what is due, now and every hour. Any number of ingresses may: the
 * journal lets one at a time.
 */
export function startRetention(context: {
  readonly journal: Pick<Journal, 'prepareDays' | 'eraseDue' | 'rawDeliveries'>;
  /** @default events are kept for ever */
  readonly retention?: Retention;
  /** How long deliveries are kept as they came; with 0, those of before go too. */
  readonly rawDays: number;
  readonly logger: Logger;
}): Repetition {
  const { journal, retention, rawDays, logger } = context;
  const round = async (): Promise<void> => {
    const now = new Date();
    await journal.prepareDays(now);
    const rawDeliveries = await journal.rawDeliveries.deleteBefore(
      rawDays === 0 ? now : dueBefore(rawDays, now),
    );
    const erased = {
      ...(retention && (await journal.eraseDue(retention, now))),
      rawDeliveries,
    };
    if (Object.values(erased).some((count) => count > 0)) {
      logger.info(erased, 'erased event data whose time is over');
    }
  };
  return repeat(round, { everyMs: EVERY_MS, failure: 'cannot erase event data', logger });
}
