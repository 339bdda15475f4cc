import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  boundaryAfter,
  type Calendar,
  isAligned,
  isTimeZone,
} from '../../src/workflows/calendar.ts';

const MINUTE = 60_000;
/** All these clocks have shown quarters at UTC's quarters, and were changed at one. */
const STEP = 15 * MINUTE;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** In which each of the zones changes its clock; Apia skipped a day, Casablanca keeps Ramadan. */
const SPANS = [
  [Date.UTC(2011, 11, 20), 110],
  [Date.UTC(2017, 9, 10), 40],
  [Date.UTC(2026, 1, 10), 60],
] as const;
const ZONES = [
  'UTC',
  'Europe/Paris',
  'America/New_York',
  'America/Sao_Paulo',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Africa/Casablanca',
];

/** The local clock at every step, as another formatter than that of the code shows it. */
function localTimes(timeZone: string, from: number, through: number): readonly number[] {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const shown: number[] = [];
  for (let at = from; at <= through; at += STEP) {
    shown.push(Date.parse(`${format.format(at).replace(' ', 'T')}Z`));
  }
  return shown;
}

/**
 * The definition, step by step: a boundary is a step at which the clock shows a multiple, or has
 * jumped over one; of whole days, only one that no earlier step has shown or jumped over.
 */
function bruteForce({ everyMs, atMs }: Calendar, from: number, shown: readonly number[]) {
  const origin = everyMs < DAY ? atMs : Date.UTC(1970, 0, 5) + atMs;
  const period = (local: number): number => Math.floor((local - origin) / everyMs);
  const boundaries: number[] = [];
  let highest = period(shown[0] as number);
  for (let index = 1; index < shown.length; index += 1) {
    const before = period(shown[index - 1] as number);
    const local = shown[index] as number;
    const isMultiple = (local - origin) % everyMs === 0;
    if (everyMs < DAY ? isMultiple || period(local) > before : period(local) > highest) {
      boundaries.push(from + index * STEP);
    }
    highest = Math.max(highest, period(local));
  }
  return boundaries;
}

function boundariesWithin(calendar: Calendar, from: number, through: number): readonly number[] {
  const boundaries: number[] = [];
  for (let at = boundaryAfter(calendar, from); at <= through; at = boundaryAfter(calendar, at)) {
    assert.ok(at > (boundaries.at(-1) ?? from), 'boundaries rise strictly');
    boundaries.push(at);
  }
  return boundaries;
}

const iso = (at: number): string => new Date(at).toISOString();

function assertAsDefined(calendar: Calendar, from: number, shown: readonly number[]): void {
  const through = from + (shown.length - 1) * STEP;
  assert.deepEqual(
    boundariesWithin(calendar, from, through).map(iso),
    bruteForce(calendar, from, shown).map(iso),
    JSON.stringify(calendar),
  );
}

const calendars: readonly Omit<Calendar, 'timeZone'>[] = [
  { everyMs: HOUR, atMs: 0 },
  { everyMs: HOUR, atMs: 30 * MINUTE },
  { everyMs: 2 * HOUR, atMs: 0 },
  { everyMs: 6 * HOUR, atMs: 2 * HOUR },
  { everyMs: 12 * HOUR, atMs: 0 },
  { everyMs: DAY, atMs: 0 },
  { everyMs: DAY, atMs: 2.5 * HOUR },
  { everyMs: DAY, atMs: 9 * HOUR },
  { everyMs: 7 * DAY, atMs: 0 },
];

describe('boundaries of a local clock', () => {
  for (const timeZone of ZONES) {
    it(`are the instants at which the clock of ${timeZone} shows a multiple`, () => {
      for (const [from, days] of SPANS) {
        const shown = localTimes(timeZone, from, from + days * DAY);
        for (const calendar of calendars) assertAsDefined({ ...calendar, timeZone }, from, shown);
      }
    }).timeout(60_000);
  }

  it('are the same wherever one begins to look', () => {
    const lengths = calendars.map(({ everyMs }) => everyMs);
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        fc.constantFrom(...lengths),
        fc.integer({ min: 0, max: 23 * 60 }),
        fc.integer({ min: Date.UTC(1990), max: Date.UTC(2040) }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (timeZone, everyMs, at, now, share) => {
          const calendar = { timeZone, everyMs, atMs: (at * MINUTE) % everyMs };
          const next = boundaryAfter(calendar, now);
          assert.ok(next > now);
          assert.equal(boundaryAfter(calendar, now + Math.floor(share * (next - now))), next);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  const following = (from: string, calendar: Calendar, count: number): readonly string[] => {
    const boundaries: number[] = [];
    for (let n = 0; n < count; n += 1) {
      boundaries.push(boundaryAfter(calendar, boundaries.at(-1) ?? Date.parse(from)));
    }
    return boundaries.map((at) => iso(at).replace(':00.000Z', 'Z'));
  };
  const paris = 'Europe/Paris';

  it('are daily at 09:00 in Paris, in winter and in summer', () => {
    const daily = { everyMs: DAY, atMs: 9 * HOUR, timeZone: paris };
    assert.deepEqual(following('2026-03-28T00:00:00Z', daily, 3), [
      '2026-03-28T08:00Z',
      '2026-03-29T07:00Z',
      '2026-03-30T07:00Z',
    ]);
  });

  it('are the jump of the clock where it skips the time, once for all that it skips', () => {
    const every30 = { everyMs: HOUR / 2, atMs: 0, timeZone: paris };
    assert.deepEqual(following('2026-03-29T00:10:00Z', every30, 3), [
      '2026-03-29T00:30Z',
      '2026-03-29T01:00Z',
      '2026-03-29T01:30Z',
    ]);
    const daily = { everyMs: DAY, atMs: 2.5 * HOUR, timeZone: paris };
    assert.deepEqual(following('2026-03-28T12:00:00Z', daily, 2), [
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ]);
  });

  it('come twice in a repeated hour under a day, and once of whole days', () => {
    const twoHourly = { everyMs: 2 * HOUR, atMs: 0, timeZone: paris };
    assert.deepEqual(following('2026-10-24T23:00:00Z', twoHourly, 3), [
      '2026-10-25T00:00Z', // 02:00 in summer time
      '2026-10-25T01:00Z', // 02:00 again
      '2026-10-25T03:00Z',
    ]);
    const daily = { everyMs: DAY, atMs: 2.5 * HOUR, timeZone: paris };
    assert.deepEqual(following('2026-10-24T12:00:00Z', daily, 2), [
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ]);
    // 02:15 for the second time: what is at 02:30 has been.
    assert.deepEqual(following('2026-10-25T01:15:00Z', daily, 1), ['2026-10-26T01:30Z']);
  });

  it('are Mondays for weeks, and whole seconds for seconds', () => {
    const weekly = { everyMs: 7 * DAY, atMs: 0, timeZone: 'UTC' };
    assert.deepEqual(following('2026-01-01T00:00:00Z', weekly, 2), [
      '2026-01-05T00:00Z',
      '2026-01-12T00:00Z',
    ]);
    const second = { everyMs: 1_000, atMs: 0, timeZone: 'Asia/Kathmandu' };
    assert.equal(boundaryAfter(second, Date.UTC(2026, 0, 1) + 1), Date.UTC(2026, 0, 1) + 1_000);
  });

  it('take lengths that divide a day and whole days, and zones that exist', () => {
    const lengths = [1_000, HOUR, 8 * HOUR, DAY, 3 * DAY, 0, 7 * HOUR, 36 * HOUR];
    assert.deepEqual(lengths.map(isAligned), [true, true, true, true, true, false, false, false]);
    assert.deepEqual(['Europe/Paris', 'Europe/Pariss', ''].map(isTimeZone), [true, false, false]);
  });
});
