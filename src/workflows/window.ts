import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';

/** Why a window closed. */
export type ClosedBy = 'quiet' | 'atMost' | 'maxEvents' | 'urgent' | 'flushed' | 'leading';

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
  /** The ids of the first 1,000 events. */
  readonly eventIds: readonly string[];
  /** The first 100 events, up to 128 KB together. */
  readonly events: readonly Event[];
  /** Whether `events` or `eventIds` leaves some out. */
  readonly truncated: boolean;
}

/** What a window holds while it is open: bounded, whatever the number of events. Plain JSON. */
export interface WindowState<Event extends TidegateEvent = TidegateEvent> {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
  readonly late: number;
  readonly urgent: boolean;
  readonly first: Event;
  readonly last: Event;
  readonly newestTime: number;
  readonly byType: Readonly<Record<string, number>>;
  readonly eventIds: readonly string[];
  readonly events: readonly Event[];
  readonly eventBytes: number;
}

/** The state after the first event. */
export function openWindow<Event extends TidegateEvent>(
  event: Event,
  now: number,
): WindowState<Event> {
  const bytes = approximateBytes(event);
  const fits = bytes <= LIMITS.windowBytesMax;
  return {
    firstAt: now,
    lastAt: now,
    count: 1,
    late: 0,
    urgent: false,
    first: event,
    last: event,
    newestTime: timeOf(event, now),
    byType: { [event.type]: 1 },
    eventIds: [event.id],
    events: fits ? [event] : [],
    eventBytes: fits ? bytes : 0,
  };
}

/** The state after one more event. */
export function foldEvent<Event extends TidegateEvent>(
  state: WindowState<Event>,
  event: Event,
  now: number,
): WindowState<Event> {
  const time = timeOf(event, now);
  const isLate = time < state.newestTime;
  const bytes = approximateBytes(event);
  const keepsAll = state.events.length === state.count;
  const fits =
    keepsAll &&
    state.events.length < LIMITS.windowEventsMax &&
    state.eventBytes + bytes <= LIMITS.windowBytesMax;
  return {
    ...state,
    lastAt: Math.max(now, state.lastAt),
    count: state.count + 1,
    late: state.late + (isLate ? 1 : 0),
    last: isLate ? state.last : event,
    newestTime: isLate ? state.newestTime : time,
    byType: { ...state.byType, [event.type]: (state.byType[event.type] ?? 0) + 1 },
    eventIds:
      state.eventIds.length < LIMITS.windowEventIdsMax
        ? [...state.eventIds, event.id]
        : state.eventIds,
    events: fits ? [...state.events, event] : state.events,
    eventBytes: fits ? state.eventBytes + bytes : state.eventBytes,
  };
}

/** The closed window. */
export function closeWindow<Event extends TidegateEvent>(
  state: WindowState<Event>,
  closing: { readonly key: string; readonly closedBy: ClosedBy; readonly duplicates: number },
): Window<Event> {
  return {
    key: closing.key,
    firstAt: state.firstAt,
    lastAt: state.lastAt,
    count: state.count,
    duplicates: closing.duplicates,
    late: state.late,
    closedBy: closing.closedBy,
    first: state.first,
    last: state.last,
    byType: state.byType,
    eventIds: state.eventIds,
    events: state.events,
    truncated: state.events.length < state.count || state.eventIds.length < state.count,
  };
}

function timeOf(event: TidegateEvent, fallback: number): number {
  const time = Date.parse(event.time);
  return Number.isNaN(time) ? fallback : time;
}

// Counting UTF-16 units is cheap and close enough for a bound on memory.
const approximateBytes = (event: TidegateEvent): number => JSON.stringify(event).length;
