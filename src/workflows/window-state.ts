import type { Delivery } from '../model/event.ts';
import type { CarriedWindow } from '../model/protocol.ts';
import type { OpenWindow } from './run-scope.ts';

/** A window as it opens. */
export const openedWindow = (first: Delivery, followsLeadingEdge: boolean): OpenWindow => ({
  first,
  steps: new Map(),
  occurrences: new Map(),
  parks: 0,
  hops: first.event.hops,
  hasCollected: false,
  resuming: undefined,
  followsLeadingEdge,
  edgeTime: undefined,
  summary: undefined,
});

/** What a window keeps across continue-as-new. */
export const carryWindow = (
  window: OpenWindow,
  waiting: NonNullable<CarriedWindow['waiting']>,
): CarriedWindow => ({
  first: window.first,
  steps: Object.fromEntries(window.steps),
  parks: window.parks,
  hops: window.hops,
  followsLeadingEdge: window.followsLeadingEdge,
  waiting,
  ...(window.edgeTime === undefined ? {} : { edgeTime: window.edgeTime }),
  ...(window.summary === undefined ? {} : { summary: window.summary }),
});

/** The window as the next execution finds it. */
export const carriedWindow = (carried: CarriedWindow): OpenWindow => ({
  first: carried.first,
  steps: new Map(Object.entries(carried.steps)),
  occurrences: new Map(),
  parks: carried.parks,
  hops: carried.hops ?? carried.first.event.hops,
  hasCollected: false,
  resuming: carried.waiting,
  followsLeadingEdge: carried.followsLeadingEdge,
  edgeTime: carried.edgeTime as OpenWindow['edgeTime'],
  summary: carried.summary,
});
