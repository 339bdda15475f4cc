/** Days of the retention: which are over. Times are arguments. */
import { DAY_MS, type Retention } from '../model/retention.ts';

/** The begin of the UTC day that a time is in. */
export const startOfDay = (time: Date): Date =>
  new Date(Math.floor(time.getTime() / DAY_MS) * DAY_MS);

/** Before when an event must have come for its time to be over: days are kept and erased whole. */
export const dueBefore = (days: number, now: Date): Date =>
  startOfDay(new Date(now.getTime() - days * DAY_MS));

/** What the retention has done about a day. */
export interface Swept {
  readonly at: Date;
  /** Whether all that was due then was erased: nothing was open. */
  readonly isDone: boolean;
}

/** Whether a day, by its end, may have events whose time is over and that are still there. */
export function isToSweep(
  { rules, days }: Retention,
  dayEnd: Date,
  swept: Swept | undefined,
  now: Date,
): boolean {
  const all = [...rules.map((rule) => rule.days), ...(days === undefined ? [] : [days])];
  return all.some(
    (kept) =>
      dayEnd <= dueBefore(kept, now) &&
      !(swept?.isDone === true && dayEnd <= dueBefore(kept, swept.at)),
  );
}
