import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { Closing, Collected, TakenDeliveries } from './collect.ts';
import {
  type CountedChange,
  emptySummary,
  foldSummary,
  type Group,
  groupsOf,
  jsonBytes,
  own,
  put,
  type SummaryOptions,
  type SummaryState,
  topChanges,
} from './window-summary.ts';

/** Why a window closed: the option that closed it; `leading` is debounce's edge, `flushed` a person. */
export type ClosedBy =
  | 'quiet'
  | 'atMost'
  | 'maxEvents'
  | 'leading'
  | 'every'
  | 'gap'
  | 'count'
  | 'until'
  | 'within'
  | 'urgent'
  | 'flushed';

/** What a primitive collected. */
export interface Window<Event extends TidegateEvent = TidegateEvent> {
  /** The flow's key. */
  readonly key: string;
  /** When the first and the last event came in, in milliseconds since 1970, on the run's clock. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Every event that the window took, also those it does not list. */
  readonly count: number;
  /** Deliveries that came twice while the window was open; they are not in `count`. */
  readonly duplicates: number;
  /** Events older, by their own `time`, than the newest before them; they never become `last`. */
  readonly late: number;
  readonly closedBy: ClosedBy;
  readonly first: Event;
  /** The newest event by its own `time`. */
  readonly last: Event;
  readonly byType: Readonly<Record<string, number>>;
  /** The first 200 groups of `groupBy`; empty without it. */
  readonly groups: Readonly<Record<string, Group>>;
  /** The 10 changes that happened most often, most frequent first. */
  readonly topChanges: readonly CountedChange[];
  /** The first 20 critical events, up to 128 KB together. */
  readonly criticals: readonly Event[];
  readonly criticalCount: number;
  /** The first 200 distinct `actor`s. */
  readonly actors: readonly string[];
  /** The ids of the first 1,000 events, up to 128 KB together. */
  readonly eventIds: readonly string[];
  /** The first 100 events, up to 128 KB together. */
  readonly events: readonly Event[];
  /** Whether a bound has left something out of `events`, `eventIds`, `groups`, `topChanges`, `criticals` or `actors`. */
  readonly truncated: boolean;
  /** Where the events are in the journal, for `readEvents`. */
  readonly deliveries: TakenDeliveries;
}

/** A window that is still open, with the event that has just come. */
export type WindowSoFar<Event extends TidegateEvent = TidegateEvent> = Pick<
  Window<Event>,
  'firstAt' | 'lastAt' | 'count' | 'late' | 'first' | 'last' | 'byType' | 'criticalCount' | 'groups'
>;

/** What a window tells of its events, and which of them close it at once. */
export interface WindowOptions<Event extends TidegateEvent = TidegateEvent>
  extends SummaryOptions<Event> {
  /** Whether an event closes the window at once. Pure and synchronous. @default none does */
  readonly urgent?: (event: Event) => boolean;
}

/**
 * What a window holds while it is open: plain JSON, bounded whatever the number of events. Mutable:
 * copying it for each of 100,000 events would take minutes. Whoever folds into it owns it.
 *
 * At its worst about 1.2 MB: `first` and `last` 256 KB of data each, `events`, `eventIds`, `criticals`
 * and what the summary lists 128 KB each, 65,536 characters of what it knows of subjects.
 */
export interface WindowState<Event extends TidegateEvent = TidegateEvent> extends Collected {
  readonly firstAt: number;
  lastAt: number;
  count: number;
  late: number;
  urgent: boolean;
  readonly first: Event;
  last: Event;
  newestTime: number;
  readonly byType: Record<string, number>;
  readonly eventIds: string[];
  /** Absent in a window that an older build opened. */
  eventIdBytes?: number;
  readonly events: Event[];
  eventBytes: number;
  /** Absent in a window that an older build opened. */
  summary?: SummaryState<Event>;
}

/** The state after the first event. */
export const openWindow = <Event extends TidegateEvent>(
  options: WindowOptions<Event>,
  event: Event,
  now: number,
): WindowState<Event> =>
  foldEvent(
    options,
    {
      firstAt: now,
      lastAt: now,
      count: 0,
      late: 0,
      urgent: false,
      first: event,
      last: event,
      newestTime: timeOf(event, now),
      byType: {},
      eventIds: [],
      events: [],
      eventBytes: 0,
    },
    event,
    now,
  );

/** The same state, with one more event in it. */
export function foldEvent<State extends WindowState<Event>, Event extends TidegateEvent>(
  options: WindowOptions<Event>,
  state: State,
  event: Event,
  now: number,
): State {
  const time = timeOf(event, now);
  const isLate = time < state.newestTime;
  list(state, event);
  state.count += 1;
  state.lastAt = Math.max(now, state.lastAt);
  put(state.byType, event.type, (own(state.byType, event.type) ?? 0) + 1);
  if (isLate) state.late += 1;
  else {
    state.last = event;
    state.newestTime = time;
  }
  if (options.urgent?.(event)) state.urgent = true;
  state.summary ??= emptySummary();
  foldSummary(options, state.summary, event, { time, now });
  return state;
}

/** Keeps the event and its id as long as all before it were kept and there is room. */
function list<Event extends TidegateEvent>(state: WindowState<Event>, event: Event): void {
  const { events, eventIds, count } = state;
  if (events.length === count && count < LIMITS.windowEventsMax) {
    const bytes = state.eventBytes + jsonBytes(event);
    if (bytes <= LIMITS.windowBytesMax) {
      events.push(event);
      state.eventBytes = bytes;
    }
  }
  if (eventIds.length === count && count < LIMITS.windowEventIdsMax) {
    const bytes = (state.eventIdBytes ?? jsonBytes(eventIds)) + jsonBytes(event.id) + 1;
    if (bytes <= LIMITS.windowBytesMax) {
      eventIds.push(event.id);
      state.eventIdBytes = bytes;
    }
  }
}

/** The closed window. */
export function closeWindow<Event extends TidegateEvent>(
  state: WindowState<Event>,
  { key, closedBy, duplicates, deliveries }: Omit<Closing<ClosedBy>, 'now'>,
): Window<Event> {
  const summary = state.summary ?? emptySummary<Event>();
  return {
    key,
    firstAt: state.firstAt,
    lastAt: state.lastAt,
    count: state.count,
    duplicates,
    late: state.late,
    closedBy,
    first: state.first,
    last: state.last,
    byType: state.byType,
    groups: groupsOf(summary),
    topChanges: topChanges(summary),
    criticals: summary.criticals,
    criticalCount: summary.criticalCount,
    actors: summary.actors,
    eventIds: state.eventIds,
    events: state.events,
    truncated:
      state.events.length < state.count ||
      state.eventIds.length < state.count ||
      summary.criticals.length < summary.criticalCount ||
      summary.truncated,
    // A window has taken at least the event that opened it.
    deliveries: deliveries as TakenDeliveries,
  };
}

/** When an event happened by its own account, in milliseconds since 1970. */
export function timeOf(event: TidegateEvent, fallback: number): number {
  const time = Date.parse(event.time);
  return Number.isNaN(time) ? fallback : time;
}
