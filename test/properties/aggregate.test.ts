import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TidegateEvent } from '../../src/model/event.ts';
import { boundaryAfter } from '../../src/workflows/calendar.ts';
import {
  type AggregateOptions,
  type AggregateState,
  aggregateCore,
  aggregateRule,
} from '../../src/workflows/primitives/aggregate.ts';
import { timeOf } from '../../src/workflows/window.ts';
import { testEvent } from '../support/events.ts';

type Event = TidegateEvent<string, { readonly urgent: boolean; readonly ends: boolean }>;
interface Arrival {
  readonly at: number;
  readonly event: Event;
}
interface Closed {
  readonly openedAt: number;
  readonly at: number;
  readonly closedBy: string;
  readonly state: AggregateState<Event>;
  readonly taken: readonly (Arrival & { readonly takenAt: number })[];
}

/**
 * Drives the pure rule over a timeline as the waiting loop and the inbox do: what a window leaves is
 * offered to the next one, in order, as soon as that opens.
 */
function drive(options: AggregateOptions<Event>, arrivals: readonly Arrival[]): readonly Closed[] {
  const core = aggregateCore(aggregateRule(options));
  const closed: Closed[] = [];
  let queue: readonly Arrival[] = arrivals;
  let now = 0;
  while (queue.length > 0) {
    const [opener, ...others] = queue as [Arrival, ...Arrival[]];
    const openedAt = Math.max(now, opener.at);
    let state = core.start(opener.event, openedAt);
    now = openedAt;
    const taken = [{ ...opener, takenAt: now }];
    const left: Arrival[] = [];
    let dueAt = 0;
    for (const arrival of [...others, { at: Number.MAX_SAFE_INTEGER, event: undefined }]) {
      const verdict = core.verdict(state, now);
      dueAt = 'dueAt' in verdict ? verdict.dueAt : now;
      const at = Math.max(now, arrival.at);
      if (dueAt <= at || arrival.event === undefined) break;
      now = at;
      if (core.wants?.(state, arrival.event, now) === false) {
        left.push(arrival);
        continue;
      }
      state = core.accept(state, arrival.event, now);
      taken.push({ ...arrival, takenAt: now });
    }
    now = dueAt;
    const verdict = core.verdict(state, now);
    assert.ok('closedBy' in verdict, 'a window must be closed at its own deadline');
    closed.push({ openedAt, at: now, closedBy: verdict.closedBy, state, taken });
    const isTaken = new Set(taken.map(({ event }) => event.id));
    queue = queue.filter(({ event }) => !isTaken.has(event.id));
  }
  return closed;
}

const START = Date.UTC(2026, 2, 28, 20);
const MINUTE = 60_000;

const timelines = fc
  .array(
    fc.record({
      gap: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0, max: 10 * MINUTE }),
        fc.integer({ min: 0, max: 300 * MINUTE }),
      ),
      /** How much older or newer the event says that it is. */
      age: fc.integer({ min: -5 * MINUTE, max: 90 * MINUTE }),
      urgent: fc.integer({ min: 0, max: 14 }),
      ends: fc.integer({ min: 0, max: 9 }),
    }),
    { minLength: 1, maxLength: 60, size: 'large' },
  )
  .map((steps): readonly Arrival[] => {
    let at = START;
    return steps.map(({ gap, age, urgent, ends }, index) => {
      at += gap;
      const time = new Date(at - age).toISOString();
      const data = { urgent: urgent === 0, ends: ends === 0 };
      return { at, event: testEvent({ id: `e${index}`, time, data }) };
    });
  });

const urgent = (event: Event): boolean => event.data.urgent;
const periods = fc
  .record({
    every: fc.constantFrom('15m' as const, '1h' as const, '6h' as const, '1d' as const),
    timeZone: fc.constantFrom('UTC', 'Europe/Paris', 'Australia/Lord_Howe'),
    at: fc.constantFrom('00:00', '00:10'),
    lateness: fc.constantFrom(0, '1m' as const, '10m' as const),
  })
  .map((options) => ({ ...options, urgent }));
const bounded: fc.Arbitrary<AggregateOptions<Event>> = fc.oneof(
  fc.integer({ min: 0, max: 30 }).map((minutes) => {
    return { gap: minutes * MINUTE, within: (minutes + 60) * MINUTE, urgent } as const;
  }),
  fc.integer({ min: 1, max: 6 }).map((count) => ({ count, within: '1h', urgent }) as const),
  fc.constant({
    until: (event: Event, soFar: { readonly count: number }) =>
      event.data.ends || soFar.count === 5,
    within: '1h',
    urgent,
  } as const),
);
const all: fc.Arbitrary<AggregateOptions<Event>> = fc.oneof(periods, bounded);

const property = <Options>(
  options: fc.Arbitrary<Options>,
  check: (options: Options, arrivals: readonly Arrival[]) => void,
): void => {
  fc.assert(fc.property(options, timelines, check), { numRuns: 300 });
};
const endOf = ({ state }: Closed): number => state.periodEndsAt as number;
const ageLimit = ({ lateness }: { readonly lateness: number | '1m' | '10m' }): number =>
  lateness === 0 ? 0 : Number.parseInt(String(lateness), 10) * MINUTE;

describe('aggregate, as a pure rule over random timelines', () => {
  it('puts every event into exactly one window, and counts them all', () => {
    property(all, (options, arrivals) => {
      const windows = drive(options, arrivals);
      const ids = windows.flatMap(({ state }) => state.eventIds);
      assert.deepEqual([...ids].sort(), arrivals.map(({ event }) => event.id).sort());
      assert.equal(
        windows.reduce((sum, { state }) => sum + state.count, 0),
        arrivals.length,
      );
    });
  });

  it('keeps the order of events within a window, and everywhere without lateness', () => {
    property(all, (options, arrivals) => {
      const order = (id: string): number => arrivals.findIndex(({ event }) => event.id === id);
      const isRising = (ids: readonly string[]): boolean =>
        ids.every((id, index) => index === 0 || order(ids[index - 1] as string) < order(id));
      const windows = drive(options, arrivals);
      for (const { state } of windows) assert.ok(isRising(state.eventIds));
      if (!options.lateness) assert.ok(isRising(windows.flatMap(({ state }) => state.eventIds)));
    });
  });

  it('leaves to the next window only what came after the period and did not happen before its end', () => {
    property(periods, (options, arrivals) => {
      const windows = drive(options, arrivals);
      windows.forEach((window, index) => {
        const later = windows.slice(index + 1).flatMap(({ taken }) => taken);
        for (const { at, event } of later) {
          const wasOpen = at >= window.openedAt && at < window.at;
          if (wasOpen) assert.ok(at >= endOf(window) && timeOf(event, at) >= endOf(window));
        }
      });
    });
  });

  it('never has events of two periods in a window', () => {
    property(periods, (options, arrivals) => {
      const calendar = calendarOf(options);
      for (const window of drive(options, arrivals)) {
        const inTime = window.taken.filter(({ takenAt }) => takenAt < endOf(window));
        // What came between two of a period is in it.
        for (const { takenAt } of [...inTime.slice(0, 1), ...inTime.slice(-1)]) {
          assert.equal(boundaryAfter(calendar, takenAt), endOf(window));
        }
        for (const { takenAt, event } of window.taken.slice(inTime.length)) {
          assert.ok(takenAt < endOf(window) + ageLimit(options));
          assert.ok(timeOf(event, takenAt) < endOf(window));
        }
      }
    });
  });

  it('closes at the end of its period and lateness, and before only with an urgent event', () => {
    property(periods, (options, arrivals) => {
      for (const window of drive(options, arrivals)) {
        const last = window.taken.at(-1);
        if (window.closedBy === 'urgent') {
          assert.ok(last?.event.data.urgent);
          assert.equal(window.at, last.takenAt);
        } else {
          assert.deepEqual(
            [window.closedBy, window.at],
            ['every', endOf(window) + ageLimit(options)],
          );
        }
        assert.ok(window.taken.slice(0, -1).every(({ event }) => !event.data.urgent));
      }
    });
  });

  it('closes periods in order, each once unless urgent events cut it', () => {
    property(periods, (options, arrivals) => {
      const windows = drive(options, arrivals);
      windows.slice(1).forEach((window, index) => {
        const before = windows[index] as Closed;
        if (before.closedBy !== 'urgent') assert.ok(endOf(window) > endOf(before));
      });
    });
  });

  it('never closes a session before its gap, nor anything later than within', () => {
    property(bounded, (options, arrivals) => {
      for (const { at, closedBy, state, taken, openedAt } of drive(options, arrivals)) {
        const withinMs = options.within === '1h' ? 60 * MINUTE : Number(options.within);
        assert.ok(at <= openedAt + withinMs);
        if (closedBy === 'within') assert.equal(at, openedAt + withinMs);
        if (closedBy === 'gap') assert.equal(at, state.lastAt + Number(options.gap));
        if (closedBy === 'count')
          assert.deepEqual([state.count, at], [options.count, state.lastAt]);
        if (options.count !== undefined) assert.ok(state.count <= Number(options.count));
        if (options.until === undefined) continue;
        const isEnd = ({ event }: Arrival, index: number) => event.data.ends || index === 4;
        assert.ok(!taken.slice(0, -1).some(isEnd));
        const isComplete = taken.slice(-1).some((last) => isEnd(last, taken.length - 1));
        if (closedBy === 'until') assert.ok(isComplete);
        else assert.ok(!isComplete || closedBy === 'urgent');
      }
    });
  });

  it('opens a window of the last period with a late event, while that may wait for one', () => {
    const hourly = { every: '1h', lateness: '10m' } as const;
    const nine = Date.UTC(2026, 0, 1, 9);
    const core = aggregateCore(aggregateRule<Event>(hourly));
    const opened = (at: number, time: number) =>
      core.start(
        testEvent({
          id: 'e',
          time: new Date(time).toISOString(),
          data: { urgent: false, ends: false },
        }),
        at,
      ).periodEndsAt;
    assert.equal(opened(nine + 5 * MINUTE, nine - 1), nine);
    assert.equal(opened(nine + 5 * MINUTE, nine), nine + 60 * MINUTE);
    assert.equal(opened(nine + 10 * MINUTE, nine - 1), nine + 60 * MINUTE);
  });
});

function calendarOf(options: { readonly every: string; timeZone: string; at: string }) {
  const unit = { m: MINUTE, h: 60 * MINUTE, d: 1_440 * MINUTE }[options.every.at(-1) as 'm'];
  const everyMs = Number.parseInt(options.every, 10) * unit;
  return { everyMs, atMs: Number(options.at.slice(3)) * MINUTE, timeZone: options.timeZone };
}

describe('aggregate options', () => {
  const refused = (options: object, code: string, naming: RegExp): void => {
    assert.throws(
      () => aggregateRule(options as AggregateOptions),
      (error: { code?: string; message: string }) => {
        assert.match(error.message, naming);
        return error.code === code;
      },
    );
  };

  it('names the option that is wrong', () => {
    const invalid = (options: object, naming: RegExp) => refused(options, 'option_invalid', naming);
    invalid({}, /one of every, gap, count and until/);
    invalid({ every: '1h', gap: '1m' }, /every and gap exclude each other/);
    invalid({ count: 1, until: () => true, within: '1h' }, /count and until exclude/);
    invalid({ every: '1h', within: '1h' }, /within and every exclude/);
    invalid({ count: 1, within: '1h', lateness: '1m' }, /lateness belongs to every, not to count/);
    for (const every of ['7h', '36h', 0]) invalid({ every }, /every must divide a day evenly/);
    invalid({ every: '1h', timeZone: 'Europe/Pariss' }, /timeZone .* got "Europe\/Pariss"/);
    for (const at of ['9:00', '24:00', '09:60', '01:00', 9]) {
      invalid({ every: '1h', at }, /at must be a time of day/);
    }
    invalid({ every: '1h', lateness: '1h' }, /lateness \(1h\) must be shorter than every/);
    invalid({ gap: '2m', within: '1m' }, /within \(1m\) must not be shorter than gap/);
    for (const count of [0, 1.5, '3']) invalid({ count, within: '1h' }, /count must be a whole/);
    invalid({ until: 'done', within: '1h' }, /until must be a function, got "done"/);
    invalid({ every: '1h', groupBy: 'team' }, /groupBy must be a function, got "team"/);
    refused({ count: 3 }, 'duration_invalid', /aggregate within/);
    refused({ every: 'hourly' }, 'duration_invalid', /aggregate every/);
  });

  it('does not compile with two of them, or with one that belongs to another', () => {
    const options: readonly AggregateOptions[] = [
      { every: '1d', at: '09:00', timeZone: 'Europe/Paris', lateness: '1m' },
      // @ts-expect-error: gap and every
      { every: '1h', gap: '1m' },
      // @ts-expect-error: within is missing
      { count: 3 },
      // @ts-expect-error: lateness belongs to every
      { gap: '1m', within: '1h', lateness: '1m' },
      // @ts-expect-error: no such option
      { every: '1h', evry: '1h' },
    ];
    assert.equal(options.length, 5);
  });
});
