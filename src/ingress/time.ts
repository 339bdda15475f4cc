const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,18})?(Z|[+-](?:0\d|1[0-5]):[0-5]\d)$/;

/**
 * An RFC 3339 time as the journal can keep it, with its fraction and offset as they came; undefined
 * when it is none. Beyond the RFC, PostgreSQL takes no offset from 16 hours and JavaScript no leap
 * second, and the day must exist.
 */
export function canonicalTime(text: string): string | undefined {
  const upper = text.toUpperCase();
  const match = RFC_3339.exec(upper);
  if (match === null) return undefined;
  const [, year, month, day] = match.map(Number) as [number, number, number, number];
  const calendar = new Date(Date.UTC(year, month - 1, day));
  if (calendar.getUTCMonth() !== month - 1 || calendar.getUTCDate() !== day) return undefined;
  const moment = Date.parse(upper);
  return moment >= EARLIEST && moment <= LATEST ? upper : undefined;
}

const EARLIEST = Date.parse('0100-01-01T00:00:00Z');
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');
