/**
 * What a window tells of its events besides counting them: groups, changes, critical events, actors.
 * Folded as events come, and bounded whatever their number.
 */
import { TidegateError } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import { utf8Bytes } from '../model/run.ts';

/** A value that a change goes from or to. */
export type Scalar = string | number | boolean | null;

/** A field of an entity that has another value than before. */
export interface Change {
  readonly field: string;
  readonly from: Scalar;
  readonly to: Scalar;
}

export interface CountedChange extends Change {
  /** How often it happened in the window. */
  readonly count: number;
}

/** The events of one group. Times are milliseconds since 1970, on the run's clock. */
export interface Group {
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
  /** Of the group's newest event by its own `time`. */
  readonly status: string;
}

/** What a window is asked to tell. Every function is pure and synchronous. */
export interface SummaryOptions<Event extends TidegateEvent = TidegateEvent> {
  /** The group an event belongs to, such as a team; names are cut at 200 characters. @default no groups */
  readonly groupBy?: (event: Event) => string;
  /** What an event says about its group, such as a state; cut at 200 characters. @default its type */
  readonly status?: (event: Event) => string;
  /**
   * What an event has changed. @default the fields at the top of `data` whose value (a text up to
   * 100 characters, number, boolean or null) is another than the last one known of its `subject`
   */
  readonly changes?: (event: Event) => readonly Change[];
  /** Whether an event is an exception that the window lists in `criticals`. @default `urgent` */
  readonly critical?: (event: Event) => boolean;
}

/** The summary of an open window. Plain JSON; mutable, since a fold in place is what keeps it cheap. */
export interface SummaryState<Event extends TidegateEvent = TidegateEvent> {
  readonly groups: Record<string, MutableGroup>;
  /** How often, by {@link changeKey}. */
  readonly changes: Record<string, number>;
  readonly subjects: Record<string, KnownSubject>;
  readonly criticals: Event[];
  readonly actors: string[];
  criticalCount: number;
  criticalBytes: number;
  readonly entries: Record<'groups' | 'changes' | 'actors' | 'subjects', number>;
  /** About the bytes of `groups`, `changes` and `actors`. */
  bytes: number;
  /** Of names and values in `subjects`. */
  subjectCharacters: number;
  /** Whether a bound has left something out. */
  truncated: boolean;
}
interface MutableGroup {
  count: number;
  readonly firstAt: number;
  lastAt: number;
  status: string;
  newestTime: number;
}
/** The last values known of a subject, and as of when by the events' own `time`. */
interface KnownSubject {
  newestTime: number;
  readonly values: Record<string, Scalar>;
}

export const emptySummary = <Event extends TidegateEvent>(): SummaryState<Event> => ({
  groups: {},
  changes: {},
  subjects: {},
  criticals: [],
  actors: [],
  criticalCount: 0,
  criticalBytes: 0,
  entries: { groups: 0, changes: 0, actors: 0, subjects: 0 },
  bytes: 0,
  subjectCharacters: 0,
  truncated: false,
});

/** Adds an event. `time` is its own, `now` the run's. */
export function foldSummary<Event extends TidegateEvent>(
  options: SummaryOptions<Event>,
  summary: SummaryState<Event>,
  event: Event,
  { time, now }: { readonly time: number; readonly now: number },
): void {
  if (options.groupBy !== undefined) {
    const name = textOf('groupBy', options.groupBy(event));
    const status = textOf(
      'status',
      options.status === undefined ? event.type : options.status(event),
    );
    countInGroup(summary, name, { status, time, now });
  }
  if (options.changes === undefined) countKnownChanges(summary, event, time);
  else for (const change of changesOf(options.changes(event))) countChange(summary, change);
  if (options.critical?.(event)) keepCritical(summary, event);
  if (event.actor !== undefined) keepActor(summary, event.actor);
}

/** The changes that happened most often, most frequent first, and of equals the first to happen. */
export const topChanges = ({ changes }: Pick<SummaryState, 'changes'>): readonly CountedChange[] =>
  Object.entries(changes)
    .sort(([, a], [, b]) => b - a)
    .slice(0, LIMITS.windowTopChangesMax)
    .map(([key, count]) => {
      const [field, from, to] = JSON.parse(key) as readonly [string, Scalar, Scalar];
      return { field, from, to, count };
    });

export const groupsOf = ({
  groups,
}: Pick<SummaryState, 'groups'>): Readonly<Record<string, Group>> =>
  Object.fromEntries(
    Object.entries(groups).map(([name, { newestTime: _, ...group }]) => [name, group]),
  );

function countInGroup(
  summary: SummaryState,
  name: string,
  { status, time, now }: { readonly status: string; readonly time: number; readonly now: number },
): void {
  const group = own(summary.groups, name);
  if (group === undefined) {
    if (!hasRoom(summary, 'groups', name, GROUP_BYTES)) return;
    put(summary.groups, name, { count: 1, firstAt: now, lastAt: now, status, newestTime: time });
    return;
  }
  group.count += 1;
  group.lastAt = Math.max(group.lastAt, now);
  if (time < group.newestTime) return;
  group.newestTime = time;
  group.status = status;
}

function countKnownChanges(summary: SummaryState, event: TidegateEvent, time: number): void {
  const { subject, data } = event;
  if (subject === undefined || typeof data !== 'object' || data === null) return;
  const known = own(summary.subjects, subject) ?? newSubject(summary, subject, time);
  // What is older than what is known has changed nothing.
  if (known === undefined || time < known.newestTime) return;
  known.newestTime = time;
  for (const [field, to] of Object.entries(data)) {
    if (!(isShort(field) && isScalar(to) && isShort(to))) continue;
    const from = own(known.values, field);
    if (from === to) continue;
    if (from !== undefined) countChange(summary, { field, from, to });
    remember(summary, known, field, to);
  }
}

function newSubject(summary: SummaryState, subject: string, time: number) {
  const characters = summary.subjectCharacters + subject.length + ENTRY_BYTES;
  if (
    summary.entries.subjects >= LIMITS.windowSubjectsMax ||
    characters > LIMITS.windowSubjectCharactersMax
  ) {
    summary.truncated = true;
    return undefined;
  }
  summary.entries.subjects += 1;
  summary.subjectCharacters = characters;
  const known: KnownSubject = { newestTime: time, values: {} };
  put(summary.subjects, subject, known);
  return known;
}

/** Keeps a value in place of the one before, or forgets both when there is no room for it. */
function remember(summary: SummaryState, known: KnownSubject, field: string, value: Scalar): void {
  const before = own(known.values, field);
  const without =
    summary.subjectCharacters - (before === undefined ? 0 : charactersOf(field, before));
  const characters = without + charactersOf(field, value);
  if (characters <= LIMITS.windowSubjectCharactersMax) {
    summary.subjectCharacters = characters;
    put(known.values, field, value);
    return;
  }
  summary.subjectCharacters = without;
  delete known.values[field];
  summary.truncated = true;
}

function countChange(summary: SummaryState, { field, from, to }: Change): void {
  const key = JSON.stringify([field, from, to]);
  const count = summary.changes[key];
  if (count === undefined && !hasRoom(summary, 'changes', key, ENTRY_BYTES)) return;
  summary.changes[key] = (count ?? 0) + 1;
}

function changesOf(given: readonly Change[]): readonly Change[] {
  if (!Array.isArray(given)) throw invalid('changes must give a list', given);
  return (given as readonly Change[]).map((change) => {
    const { field, from, to } = (change ?? {}) as Partial<Change>;
    if (typeof field !== 'string' || !isScalar(from) || !isScalar(to)) {
      throw invalid(
        'changes must give { field, from, to }, both a text, number, boolean or null',
        change,
      );
    }
    return { field: cut(field), from: cut(from), to: cut(to) };
  });
}

function keepCritical<Event extends TidegateEvent>(
  summary: SummaryState<Event>,
  event: Event,
): void {
  const keepsAll = summary.criticals.length === summary.criticalCount;
  summary.criticalCount += 1;
  if (!keepsAll || summary.criticals.length >= LIMITS.windowCriticalsMax) return;
  const bytes = summary.criticalBytes + jsonBytes(event);
  if (bytes > LIMITS.windowBytesMax) return;
  summary.criticals.push(event);
  summary.criticalBytes = bytes;
}

function keepActor(summary: SummaryState, actor: string): void {
  if (summary.actors.includes(actor)) return;
  if (!hasRoom(summary, 'actors', actor, ENTRY_BYTES)) return;
  summary.actors.push(actor);
}

/** Punctuation and numbers of an entry in JSON, rounded up. */
const ENTRY_BYTES = 50;
/** A group beside its name. */
const GROUP_BYTES = 2 * ENTRY_BYTES + LIMITS.windowTextCharactersMax;
const ENTRIES_MAX = {
  groups: LIMITS.windowGroupsMax,
  changes: LIMITS.windowChangesMax,
  actors: LIMITS.windowActorsMax,
} as const;

/** Whether there is room for one more entry; counts it, or notes that it is left out. */
function hasRoom(
  summary: SummaryState,
  kind: keyof typeof ENTRIES_MAX,
  name: string,
  bytesBeside: number,
): boolean {
  if (summary.entries[kind] < ENTRIES_MAX[kind]) {
    const bytes = summary.bytes + jsonBytes(name) + bytesBeside;
    if (bytes <= LIMITS.windowSummaryBytesMax) {
      summary.entries[kind] += 1;
      summary.bytes = bytes;
      return true;
    }
  }
  summary.truncated = true;
  return false;
}

function textOf(option: 'groupBy' | 'status', value: unknown): string {
  if (typeof value !== 'string') throw invalid(`${option} must give a text`, value);
  return value.slice(0, LIMITS.windowTextCharactersMax);
}

const invalid = (problem: string, value: unknown): TidegateError =>
  new TidegateError(
    'option_invalid',
    `aggregate: ${problem}, got ${String(JSON.stringify(value)).slice(0, 200)}`,
  );

const isScalar = (value: unknown): value is Scalar =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);

const isShort = (value: Scalar): boolean =>
  typeof value !== 'string' || value.length <= LIMITS.windowScalarCharactersMax;

const cut = <Value extends Scalar>(value: Value): Value =>
  (typeof value === 'string' ? value.slice(0, LIMITS.windowScalarCharactersMax) : value) as Value;

export const jsonBytes = (value: unknown): number => utf8Bytes(JSON.stringify(value));

const charactersOf = (field: string, value: Scalar): number =>
  field.length + String(value).length + 6;

// Names come from events: `__proto__` and `constructor` are names like any other.
export const own = <Value>(
  record: Readonly<Record<string, Value>>,
  name: string,
): Value | undefined => (Object.hasOwn(record, name) ? record[name] : undefined);

export function put<Value>(record: Record<string, Value>, name: string, value: Value): void {
  if (name !== '__proto__') record[name] = value;
  else
    Object.defineProperty(record, name, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}
