import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TidegateEvent } from '../../src/model/event.ts';
import { LIMITS } from '../../src/model/limits.ts';
import {
  type DebounceRule,
  debounceCore,
  debounceRule,
} from '../../src/workflows/primitives/debounce.ts';
import type { WindowState } from '../../src/workflows/window.ts';
import { closeWindow } from '../../src/workflows/window.ts';
import { testEvent } from '../support/events.ts';

interface Arrival {
  readonly at: number;
  readonly event: TidegateEvent<string, { readonly urgent: boolean }>;
}
type Data = TidegateEvent<string, { readonly urgent: boolean }>;
interface Closed {
  readonly at: number;
  readonly closedBy: string;
  readonly state: WindowState<Data>;
  readonly arrivals: readonly Arrival[];
}

/** Drives the pure rule over a timeline as the waiting loop does: at arrivals and at deadlines. */
function drive(rule: DebounceRule<Data>, arrivals: readonly Arrival[]): readonly Closed[] {
  const core = debounceCore(rule);
  const closed: Closed[] = [];
  let open: { state: WindowState<Data>; arrivals: Arrival[] } | undefined;

  const closeWhatIsDue = (now: number): void => {
    if (open === undefined) return;
    const atOpen = core.verdict(open.state, open.state.lastAt);
    const at = 'dueAt' in atOpen ? atOpen.dueAt : open.state.lastAt;
    if (at > now) return;
    const verdict = core.verdict(open.state, at);
    assert.ok('closedBy' in verdict, 'a window must be closed at its own deadline');
    closed.push({ at, closedBy: verdict.closedBy, ...open });
    open = undefined;
  };

  for (const arrival of arrivals) {
    closeWhatIsDue(arrival.at);
    open =
      open === undefined
        ? { state: core.start(arrival.event, arrival.at), arrivals: [arrival] }
        : {
            state: core.accept(open.state, arrival.event, arrival.at),
            arrivals: [...open.arrivals, arrival],
          };
    closeWhatIsDue(arrival.at);
  }
  closeWhatIsDue(Number.MAX_SAFE_INTEGER);
  return closed;
}

const timelines = fc
  .array(
    fc.record({
      gap: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0, max: 50 }),
        fc.integer({ max: 5_000, min: 0 }),
      ),
      eventTime: fc.integer({ min: 0, max: 10_000 }),
      urgent: fc.boolean(),
      rarely: fc.integer({ min: 0, max: 9 }),
    }),
    { minLength: 1, maxLength: 60, size: 'large' },
  )
  .map((steps): readonly Arrival[] => {
    let at = 1_000;
    return steps.map((step, index) => {
      at += step.gap;
      return {
        at,
        event: testEvent({
          id: `e${index}`,
          time: new Date(step.eventTime).toISOString(),
          data: { urgent: step.urgent && step.rarely === 0 },
        }),
      };
    });
  });

const rules = fc
  .record({
    quietMs: fc.integer({ min: 0, max: 2_000 }),
    extraMs: fc.integer({ min: 0, max: 4_000 }),
    maxEvents: fc.oneof(fc.constant(Number.MAX_SAFE_INTEGER), fc.integer({ min: 1, max: 10 })),
    edge: fc.constantFrom('trailing' as const, 'leading' as const, 'both' as const),
  })
  .map(
    ({ quietMs, extraMs, maxEvents, edge }): DebounceRule<Data> => ({
      quietMs,
      atMostMs: quietMs + extraMs,
      maxEvents,
      edge,
      urgent: (event) => event.data.urgent,
    }),
  );

const property = (
  check: (rule: DebounceRule<Data>, arrivals: readonly Arrival[]) => void,
): void => {
  fc.assert(fc.property(rules, timelines, check), { numRuns: 3_000 });
};

describe('debounce, as a pure rule over random timelines', () => {
  it('puts every event into exactly one window, in order', () => {
    property((rule, arrivals) => {
      const windows = drive(rule, arrivals);
      assert.deepEqual(
        windows.flatMap((window) => window.state.eventIds),
        arrivals.map(({ event }) => event.id),
      );
      assert.equal(
        windows.reduce((sum, { state }) => sum + state.count, 0),
        arrivals.length,
      );
    });
  });

  it('never closes later than its first event plus atMost', () => {
    property((rule, arrivals) => {
      for (const { at, state } of drive(rule, arrivals)) {
        assert.ok(at <= state.firstAt + rule.atMostMs);
      }
    });
  });

  it('never closes by quiet before the quiet time is over, and by atMost only at its bound', () => {
    property((rule, arrivals) => {
      for (const { at, closedBy, state } of drive(rule, arrivals)) {
        if (closedBy === 'quiet') assert.equal(at, state.lastAt + rule.quietMs);
        if (closedBy === 'atMost') assert.equal(at, state.firstAt + rule.atMostMs);
      }
    });
  });

  it('never takes more than maxEvents, and closes at once with the last of them', () => {
    property((rule, arrivals) => {
      for (const { at, closedBy, state } of drive(rule, arrivals)) {
        assert.ok(state.count <= rule.maxEvents);
        if (closedBy === 'maxEvents')
          assert.deepEqual([state.count, at], [rule.maxEvents, state.lastAt]);
      }
    });
  });

  it('closes at once with an urgent event, which is its last arrival', () => {
    property((rule, arrivals) => {
      for (const { at, closedBy, state, arrivals: taken } of drive(rule, arrivals)) {
        assert.ok(
          taken.slice(0, -1).every(({ event }) => !event.data.urgent || rule.edge !== 'trailing'),
        );
        if (closedBy === 'urgent') {
          assert.equal(taken.at(-1)?.event.data.urgent, true);
          assert.equal(at, state.lastAt);
        }
      }
    });
  });

  it('goes on at the first event with a leading edge', () => {
    property((rule, arrivals) => {
      if (rule.edge === 'trailing') return;
      for (const { at, closedBy, state } of drive(rule, arrivals)) {
        assert.deepEqual([closedBy, state.count, at], ['leading', 1, state.firstAt]);
      }
    });
  });

  it('makes the newest event by its own time the last, and counts the older ones as late', () => {
    property((rule, arrivals) => {
      for (const { state, arrivals: taken } of drive(rule, arrivals)) {
        const times = taken.map(({ event }) => Date.parse(event.time));
        assert.equal(Date.parse(state.last.time), Math.max(...times));
        const late = times.filter(
          (time, index) => time < Math.max(...times.slice(0, index + 1)),
        ).length;
        assert.equal(state.late, late);
      }
    });
  });

  it('keeps a bounded window of any number of events, and says what it left out', () => {
    const rule = debounceRule<Data>({ quiet: '1s', atMost: '1h' });
    const core = debounceCore(rule);
    const event = (index: number): Data => testEvent({ id: `e${index}`, data: { urgent: false } });
    let state = core.start(event(0), 0);
    for (let index = 1; index < 5_000; index += 1) state = core.accept(state, event(index), index);
    const window = closeWindow(state, { key: 'k', closedBy: 'quiet', duplicates: 0 });
    assert.equal(window.count, 5_000);
    assert.equal(window.events.length, LIMITS.windowEventsMax);
    assert.equal(window.eventIds.length, LIMITS.windowEventIdsMax);
    assert.equal(window.truncated, true);
    assert.deepEqual(window.byType, { 'thing.changed': 5_000 });
    assert.ok(JSON.stringify(window).length < 200_000);
  });
});

describe('debounce options', () => {
  const refused = (
    options: Parameters<typeof debounceRule>[0],
    code: string,
    naming: RegExp,
  ): void => {
    assert.throws(
      () => debounceRule(options),
      (error: { code?: string; message: string }) =>
        error.code === code && naming.test(error.message),
    );
  };
  it('names the option that is wrong', () => {
    refused({ quiet: '1m', atMost: '30s' }, 'option_invalid', /atMost .* quiet/);
    refused({ quiet: -1, atMost: '30s' }, 'duration_invalid', /quiet/);
    refused({ quiet: '1s', atMost: '400d' }, 'duration_invalid', /atMost/);
    refused({ quiet: '1s', atMost: '2s', maxEvents: 0 }, 'option_invalid', /maxEvents/);
    refused({ quiet: '1s', atMost: '2s', edge: 'middle' as 'both' }, 'option_invalid', /edge/);
  });
});
