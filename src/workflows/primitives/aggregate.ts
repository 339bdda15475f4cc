import { type Duration, durationMs, formatDuration } from '../../model/duration.ts';
import { TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import { boundaryAfter, type Calendar, DAY_MS, isAligned, isTimeZone } from '../calendar.ts';
import { type CollectRule, collect, type Verdict } from '../collect.ts';
import type { Inbox } from '../inbox.ts';
import {
  type ClosedBy,
  closeWindow,
  foldEvent,
  openWindow,
  timeOf,
  type Window,
  type WindowOptions,
  type WindowSoFar,
  type WindowState,
} from '../window.ts';
import { emptySummary } from '../window-summary.ts';

/** An option that another one excludes. A text, so that the compiler's error says why. */
type NotTogetherWith<Option extends string> = `not together with ${Option}`;

/** The options that do not go together with one, so that naming both is a compile error. */
type Excludes<Option extends string, Others extends string> = {
  readonly [Other in Others]?: NotTogetherWith<Option>;
};

/** A window for each period of the clock. */
export interface AggregateEvery<Event extends TidegateEvent = TidegateEvent>
  extends WindowOptions<Event>,
    Excludes<'every', 'gap' | 'count' | 'until' | 'within'> {
  /** The length of a period: under a day one that divides 24 h, else whole days. `'7d'` begins on Mondays. */
  readonly every: Duration;
  /** The time zone whose clock periods are aligned to, such as `'Europe/Paris'`. @default 'UTC' */
  readonly timeZone?: string;
  /** When periods begin on that clock, as `'HH:MM'`; less than `every`. @default '00:00' */
  readonly at?: string;
  /**
   * How long after its period a window stays open for events whose own `time` lies in it or before
   * it. Others that come meanwhile are the next window. Less than `every`. @default not at all
   */
  readonly lateness?: Duration;
}

/** A window for each session: until no event has come for a while. */
export interface AggregateGap<Event extends TidegateEvent = TidegateEvent>
  extends WindowOptions<Event>,
    Excludes<'gap', 'every' | 'timeZone' | 'at' | 'lateness' | 'count' | 'until'> {
  /** The window closes when no event has come for this long. */
  readonly gap: Duration;
  /** The longest it stays open, from its first event. No default: always say it. At least `gap`. */
  readonly within: Duration;
}

/** A window for so many events. */
export interface AggregateCount<Event extends TidegateEvent = TidegateEvent>
  extends WindowOptions<Event>,
    Excludes<'count', 'every' | 'timeZone' | 'at' | 'lateness' | 'gap' | 'until'> {
  /** The window closes with this many events, a whole number from 1. */
  readonly count: number;
  /** The longest it stays open, from its first event. No default: always say it. */
  readonly within: Duration;
}

/** A window until an event says that it is complete. */
export interface AggregateUntil<Event extends TidegateEvent = TidegateEvent>
  extends WindowOptions<Event>,
    Excludes<'until', 'every' | 'timeZone' | 'at' | 'lateness' | 'gap' | 'count'> {
  /** Whether the window is complete with this event, which `soFar` includes. Pure and synchronous. */
  readonly until: (event: Event, soFar: WindowSoFar<Event>) => boolean;
  /** The longest it stays open, from its first event. No default: always say it. */
  readonly within: Duration;
}

/** When {@link aggregate} closes its window and what it tells of it: one of `every`, `gap`, `count`, `until`. */
export type AggregateOptions<Event extends TidegateEvent = TidegateEvent> =
  | AggregateEvery<Event>
  | AggregateGap<Event>
  | AggregateCount<Event>
  | AggregateUntil<Event>;

/** {@link AggregateOptions}, checked. */
export interface AggregateRule<Event extends TidegateEvent = TidegateEvent> {
  readonly close: ClosingRule<Event>;
  readonly asks: WindowOptions<Event>;
}
interface EveryRule {
  readonly by: 'every';
  readonly calendar: Calendar;
  /** The time of day of `calendar`, for people. */
  readonly at: string;
  readonly latenessMs: number;
}
type ClosingRule<Event extends TidegateEvent> =
  | EveryRule
  | { readonly by: 'gap'; readonly gapMs: number; readonly withinMs: number }
  | { readonly by: 'count'; readonly count: number; readonly withinMs: number }
  | {
      readonly by: 'until';
      readonly until: (event: Event, soFar: WindowSoFar<Event>) => boolean;
      readonly withinMs: number;
    };

/** An open window of an aggregate. Plain JSON. */
export interface AggregateState<Event extends TidegateEvent = TidegateEvent>
  extends WindowState<Event> {
  /** With `every`: when its period ends. Kept, so that a newer time zone database moves no open window. */
  readonly periodEndsAt?: number;
  /** With `until`: whether it has been true. */
  isComplete?: boolean;
}

/**
 * Collects the events of this run's key and returns a summary of them as one window: of a period of
 * the clock (`every`), a session (`gap`), so many events (`count`) or until an event completes it
 * (`until`).
 *
 * A window opens with an event; a period without any has none. What arrives after it has closed, also
 * while the flow works on it, is the next window.
 *
 * @throws TidegateError `option_invalid` or `duration_invalid`, naming the option.
 * @example
 * ```ts
 * const hour = await aggregate(inbox, {
 *   every: '1h',
 *   timeZone: 'Europe/Paris',
 *   groupBy: (event) => event.data.team,
 * });
 * ```
 */
export async function aggregate<Event extends TidegateEvent>(
  inbox: Inbox<Event>,
  options: AggregateOptions<Event>,
): Promise<Window<Event>> {
  const rule = aggregateRule(options);
  const waitingFor = describe(rule.close);
  return collect<AggregateState<Event>, Event, ClosedBy, Event, Window<Event>>(inbox, {
    step: 'aggregate',
    waitingFor,
    progress: ({ count }) => `${waitingFor}; ${count} so far`,
    view: ({ count, firstAt, lastAt, late, summary = emptySummary(), periodEndsAt }) => ({
      count,
      firstAt,
      lastAt,
      late,
      groups: summary.entries.groups,
      criticalCount: summary.criticalCount,
      ...(periodEndsAt === undefined ? {} : { periodEndsAt }),
    }),
    opener: ({ own, next }) => own ?? next(),
    ruleFor: () => aggregateCore(rule),
    close: closeWindow,
    closed: ({ count }, { closedBy }) => `working on ${count} events, window closed by ${closedBy}`,
  });
}

/** Checks the options. */
export function aggregateRule<Event extends TidegateEvent>(
  options: AggregateOptions<Event>,
): AggregateRule<Event> {
  const { groupBy, status, changes, urgent, critical = urgent } = options;
  for (const [option, value] of Object.entries({ groupBy, status, changes, urgent, critical })) {
    if (value !== undefined && typeof value !== 'function') {
      throw invalid(`${option} must be a function, got ${JSON.stringify(value)}`);
    }
  }
  return {
    close: closingRule(options),
    asks: critical === undefined ? options : { ...options, critical },
  };
}

const WAYS = ['every', 'gap', 'count', 'until'] as const;
const OF_EVERY = ['timeZone', 'at', 'lateness'] as const;

function closingRule<Event extends TidegateEvent>(
  options: AggregateOptions<Event>,
): ClosingRule<Event> {
  const [way, other] = WAYS.filter((name) => options[name] !== undefined);
  if (way === undefined) throw invalid('one of every, gap, count and until is needed');
  if (other !== undefined) throw invalid(`${way} and ${other} exclude each other`);
  if (options.every !== undefined) {
    if (options.within !== undefined) throw invalid('within and every exclude each other');
    return everyRule(options as AggregateEvery);
  }
  const ofEvery = OF_EVERY.find((name) => options[name] !== undefined);
  if (ofEvery !== undefined) throw invalid(`${ofEvery} belongs to every, not to ${way}`);
  const withinMs = durationMs(options.within as Duration, 'aggregate within');
  if (options.gap !== undefined) {
    const gapMs = durationMs(options.gap as Duration, 'aggregate gap');
    if (withinMs < gapMs) {
      throw invalid(`within (${options.within}) must not be shorter than gap (${options.gap})`);
    }
    return { by: 'gap', gapMs, withinMs };
  }
  if (options.count !== undefined) {
    const count = options.count as number;
    if (!Number.isSafeInteger(count) || count < 1) {
      throw invalid(`count must be a whole number from 1, got ${JSON.stringify(count)}`);
    }
    return { by: 'count', count, withinMs };
  }
  const until = options.until as AggregateUntil<Event>['until'];
  if (typeof until !== 'function') {
    throw invalid(`until must be a function, got ${JSON.stringify(until)}`);
  }
  return { by: 'until', until, withinMs };
}

function everyRule(options: AggregateEvery): EveryRule {
  const { every, timeZone = 'UTC', at = '00:00', lateness = 0 } = options;
  const everyMs = durationMs(every, 'aggregate every');
  if (!isAligned(everyMs)) {
    throw invalid(
      `every must divide a day evenly, such as '15m' or '8h', or be whole days, got ${JSON.stringify(every)}`,
    );
  }
  if (typeof timeZone !== 'string' || !isTimeZone(timeZone)) {
    throw invalid(
      `timeZone must be one such as 'Europe/Paris' or 'UTC', got ${JSON.stringify(timeZone)}`,
    );
  }
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(at) ?? [];
  const atMs = (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (!(atMs < everyMs)) {
    throw invalid(
      `at must be a time of day such as '09:00', and less than every (${every}), got ${JSON.stringify(at)}`,
    );
  }
  const latenessMs = durationMs(lateness, 'aggregate lateness');
  if (latenessMs >= everyMs) {
    throw invalid(`lateness (${lateness}) must be shorter than every (${every})`);
  }
  return { by: 'every', calendar: { everyMs, atMs, timeZone }, at, latenessMs };
}

/**
 * The pure rule. Invariants, which the property tests drive through random timelines: every event is
 * in exactly one window, in order but for those left to the next one while late events are awaited; a
 * window never spans two periods; it never closes before its time unless `urgent` closed it.
 */
export function aggregateCore<Event extends TidegateEvent>({
  close,
  asks,
}: AggregateRule<Event>): CollectRule<AggregateState<Event>, Event, ClosedBy, Event> {
  const completed = (state: AggregateState<Event>, event: Event): AggregateState<Event> => {
    if (close.by === 'until' && close.until(event, soFar(state))) state.isComplete = true;
    return state;
  };
  return {
    start(event, now) {
      const state: AggregateState<Event> = openWindow(asks, event, now);
      if (close.by !== 'every') return completed(state, event);
      return { ...state, periodEndsAt: periodEnd(close, event, now) };
    },
    wants: ({ periodEndsAt }, event, now) =>
      periodEndsAt === undefined || now < periodEndsAt || timeOf(event, now) < periodEndsAt,
    accept: (state, event, now) => completed(foldEvent(asks, state, event, now), event),
    verdict: (state, now) => verdict(close, state, now),
  };
}

/** The end of the period that an event opens a window for: the last one, while that waits for late events. */
function periodEnd({ calendar, latenessMs }: EveryRule, event: TidegateEvent, now: number): number {
  const endsAt = boundaryAfter(calendar, now - latenessMs);
  return endsAt > now || timeOf(event, now) < endsAt ? endsAt : boundaryAfter(calendar, now);
}

function verdict(close: ClosingRule<never>, state: AggregateState, now: number): Verdict<ClosedBy> {
  if (state.urgent) return { closedBy: 'urgent' };
  switch (close.by) {
    case 'every':
      return dueBy('every', (state.periodEndsAt ?? 0) + close.latenessMs, now);
    case 'gap': {
      const gapAt = state.lastAt + close.gapMs;
      const withinAt = state.firstAt + close.withinMs;
      return gapAt <= withinAt ? dueBy('gap', gapAt, now) : dueBy('within', withinAt, now);
    }
    case 'count':
      if (state.count >= close.count) return { closedBy: 'count' };
      return dueBy('within', state.firstAt + close.withinMs, now);
    case 'until':
      if (state.isComplete) return { closedBy: 'until' };
      return dueBy('within', state.firstAt + close.withinMs, now);
    default:
      close satisfies never;
      throw invalid('no way to close');
  }
}

const dueBy = (closedBy: ClosedBy, dueAt: number, now: number): Verdict<ClosedBy> =>
  now < dueAt ? { dueAt } : { closedBy };

function soFar<Event extends TidegateEvent>(state: WindowState<Event>): WindowSoFar<Event> {
  const { firstAt, lastAt, count, late, first, last, byType, summary = emptySummary() } = state;
  const { criticalCount, groups } = summary;
  return { firstAt, lastAt, count, late, first, last, byType, criticalCount, groups };
}

function describe(close: ClosingRule<never>): string {
  switch (close.by) {
    case 'every': {
      const { everyMs, timeZone } = close.calendar;
      const at = close.at === '00:00' ? '' : ` at ${close.at}`;
      const length = everyMs === DAY_MS ? 'day' : formatDuration(everyMs);
      const late =
        close.latenessMs === 0 ? '' : `, and ${formatDuration(close.latenessMs)} for late events`;
      return `every ${length}${at}, ${timeZone}${late}`;
    }
    case 'gap':
      return `${formatDuration(close.gapMs)} without an event, at most ${formatDuration(close.withinMs)}`;
    case 'count':
      return `${close.count} events, at most ${formatDuration(close.withinMs)}`;
    case 'until':
      return `the event that completes it, at most ${formatDuration(close.withinMs)}`;
    default:
      close satisfies never;
      return '';
  }
}

const invalid = (problem: string): TidegateError =>
  new TidegateError('option_invalid', `aggregate: ${problem}`);
