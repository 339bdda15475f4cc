/** Periods of the wall clock of a time zone: "hourly", "daily at 09:00 in Paris". Pure. */

/** Boundaries at every multiple of a length, as the local clock shows it. */
export interface Calendar {
  /** Under a day, a length that divides 24 h; from a day, whole days. */
  readonly everyMs: number;
  /** How long after midnight the first multiple of the day is. Less than `everyMs` and than a day. */
  readonly atMs: number;
  /** The name of a time zone in the IANA database, such as `Europe/Paris`. */
  readonly timeZone: string;
}

/** What a time zone's clock is ahead of UTC at an instant, in milliseconds. */
type OffsetAt = (at: number) => number;

export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Whole days are counted from here, 1970-01-05, so that a week begins on its Monday. */
const FIRST_MONDAY = 4 * DAY_MS;
/** No clock was ever further from UTC: Manila had 15:56 until 1844. */
const OFFSET_MS_MAX = 16 * HOUR_MS;
/** No zone has changed its clock twice within this. */
const PROBE_MS = 6 * HOUR_MS;

/** Whether this machine knows the time zone. */
export function isTimeZone(timeZone: string): boolean {
  try {
    formatOf(timeZone);
    return true;
  } catch {
    return false;
  }
}

/** Whether periods of this length stay aligned to the clock from day to day. */
export const isAligned = (everyMs: number): boolean =>
  everyMs > 0 && (everyMs < DAY_MS ? DAY_MS % everyMs === 0 : everyMs % DAY_MS === 0);

/**
 * The first boundary after `now`.
 *
 * Under a day, a boundary is each instant at which the local clock shows a multiple, also when it
 * shows one for the second time; where it jumps over some, the jump is one boundary for all of them.
 * Of whole days, it is the first instant at which the local clock shows the time, or jumps over it.
 */
export function boundaryAfter(calendar: Calendar, now: number): number {
  const offsetAt = offsetsOf(calendar.timeZone);
  if (calendar.everyMs < DAY_MS) {
    return showing(offsetAt, now, (local) => multipleAfter(local, calendar.everyMs, calendar.atMs));
  }
  const origin = FIRST_MONDAY + calendar.atMs;
  // A clock that was put back may show again what had its boundary: begin before any such time.
  let local = multipleAfter(now - 2 * DAY_MS, calendar.everyMs, origin);
  for (;;) {
    const due = local;
    const at = showing(offsetAt, due - OFFSET_MS_MAX, () => due);
    if (at > now) return at;
    local += calendar.everyMs;
  }
}

const multipleAfter = (local: number, everyMs: number, origin: number): number =>
  origin + (Math.floor((local - origin) / everyMs) + 1) * everyMs;

/** The first instant after `from` at which the local clock shows what is due next, or jumps over it. */
function showing(offsetAt: OffsetAt, from: number, dueAfter: (local: number) => number): number {
  let since = from;
  for (;;) {
    const offset = offsetAt(since);
    const due = dueAfter(since + offset);
    const jump = jumpWithin(offsetAt, since, due - offset);
    if (jump === undefined) return due - offset;
    const shown = jump + offsetAt(jump);
    if (shown >= due || dueAfter(shown - 1) === shown) return jump;
    since = jump;
  }
}

/** The first instant after `from` and up to `through` at which the clock is put forward or back. */
function jumpWithin(offsetAt: OffsetAt, from: number, through: number): number | undefined {
  const offset = offsetAt(from);
  let before = from;
  while (before < through) {
    const probe = Math.min(before + PROBE_MS, through);
    if (offsetAt(probe) !== offset) return firstWithout(offset, offsetAt, before, probe);
    before = probe;
  }
  return undefined;
}

function firstWithout(offset: number, offsetAt: OffsetAt, has: number, hasNot: number): number {
  let before = has;
  let after = hasNot;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetAt(middle) === offset) before = middle;
    else after = middle;
  }
  return after;
}

function offsetsOf(timeZone: string): OffsetAt {
  if (timeZone === 'UTC') return () => 0;
  const format = formatOf(timeZone);
  return (at) => {
    // Clocks have changed at whole seconds only, and the format shows none smaller.
    const second = Math.floor(at / 1_000) * 1_000;
    const fields = Object.fromEntries(
      format.formatToParts(second).map(({ type, value }) => [type, Number(value)]),
    );
    const { year = 0, month = 1, day, hour, minute, second: seconds } = fields;
    return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
  };
}

const formatOf = (timeZone: string): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
