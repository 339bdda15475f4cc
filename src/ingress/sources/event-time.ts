import { canonicalTime } from '../time.ts';

/** Below it a number is seconds (until the year 5138), from it on milliseconds (from March 1973). */
const LEAST_MILLISECONDS = 1e11;
const SECONDS = /^(\d{9,10})(?:\.(\d{1,9}))?$/;
const ISO_VARIANT =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d{1,18})? ?(Z|z|UTC|GMT|[+-]\d{2}:?\d{2})$/;

/**
 * A provider's time as RFC 3339, to the fraction that it has: Unix seconds or milliseconds, Slack's
 * `1719209506.817929`, and ISO 8601 with the usual liberties (`-0800`, `2016-08-12 15:23:28 UTC`).
 * undefined for anything else, also for a time without a zone: then the event has the time of arrival.
 *
 * @example
 * ```ts
 * eventTime(1_719_209_506); // 2024-06-24T06:11:46.000Z
 * eventTime('2015-01-29T09:29:41.000-0800'); // 2015-01-29T09:29:41.000-08:00
 * ```
 */
export function eventTime(moment: unknown): string | undefined {
  if (typeof moment === 'number') return ofNumber(moment);
  if (typeof moment !== 'string') return undefined;
  const [, seconds, fraction = '000'] = SECONDS.exec(moment) ?? [];
  if (seconds !== undefined) return ofNumber(Number(seconds))?.replace('.000Z', `.${fraction}Z`);
  if (/^\d{12,13}$/.test(moment)) return ofNumber(Number(moment));
  const [, day, clock, part = '', zone] = ISO_VARIANT.exec(moment) ?? [];
  return zone === undefined ? undefined : canonicalTime(`${day}T${clock}${part}${offset(zone)}`);
}

function ofNumber(value: number): string | undefined {
  const ms = Math.abs(value) < LEAST_MILLISECONDS ? Math.round(value * 1_000) : value;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : canonicalTime(date.toISOString());
}

const offset = (zone: string): string =>
  /^[a-z]/i.test(zone) ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(-2)}`;
