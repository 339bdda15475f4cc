import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import {
  type PreparedEntry,
  prepareEntry,
  type Written,
  writeEntries,
} from './append-statement.ts';
import { isDataError, unavailable } from './database-error.ts';
import type { AppendEntry, AppendResult, NumberedDelivery } from './deliveries.ts';
import { deliveriesOfEvents } from './event-deliveries.ts';
import { rawBytes } from './raw-deliveries.ts';
import type { JournalDatabase } from './schema.ts';

export interface Appender {
  readonly append: (entries: readonly AppendEntry[]) => Promise<readonly AppendResult[]>;
  /** Takes no more calls; resolves when those that waited have been committed. */
  readonly close: () => Promise<void>;
}

interface Call {
  readonly entries: readonly PreparedEntry[];
  readonly runs: readonly RunId[];
  readonly bytes: number;
  readonly resolve: (results: readonly AppendResult[]) => void;
  readonly reject: (error: unknown) => void;
}

export interface AppenderOptions {
  /** How many groups are being committed at once. More than one for a database that can. @default 1 */
  readonly groupsAtOnceMax?: number;
}

/** A group beside another has at least so many events: what a group costs whatever is in it has to pay. */
const EVENTS_BESIDE_MIN = 16;

/**
 * Group commit. While a group is being committed later calls wait, and go together in the next; a call that finds
 * nobody ahead goes at once. There is no timer. While the database writes one group to its disk, a second can be
 * on its way; no two have a run in common, so that the events of a run are numbered in the order in which they came.
 */
export function makeAppender(
  database: JournalDatabase,
  { groupsAtOnceMax = 1 }: AppenderOptions = {},
): Appender {
  let waiting: Call[] = [];
  const room = { events: 0, bytes: 0 };
  /** Of the groups that are being committed. */
  const busyRuns = new Set<RunId>();
  const committing = new Set<Promise<void>>();
  /** As many events may go beside a group, at most: looking at all that wait costs too much for each that comes. */
  let freeEventsMax = 0;
  let closed = false;

  /** Begins to commit what may go now. */
  const commitNext = (): void => {
    const isBeside = committing.size > 0;
    const { group, left } = nextGroup(waiting, busyRuns);
    freeEventsMax = group.reduce((sum, { entries }) => sum + entries.length, 0);
    if (freeEventsMax < (isBeside ? EVENTS_BESIDE_MIN : 1)) return;
    freeEventsMax = 0;
    waiting = left;
    for (const call of group) {
      room.events -= call.entries.length;
      room.bytes -= call.bytes;
      for (const run of call.runs) busyRuns.add(run);
    }
    const task = commit(database, group).then(() => {
      committing.delete(task);
      for (const call of group) for (const run of call.runs) busyRuns.delete(run);
      commitNext();
    });
    committing.add(task);
  };

  const append = async (entries: readonly AppendEntry[]): Promise<readonly AppendResult[]> => {
    if (closed) throw unavailable('it was closed');
    if (entries.length === 0) return [];
    const prepared = entries.map(prepareEntry);
    const runs = prepared.flatMap(({ deliveries }) => deliveries.map(({ run }) => run));
    const bytes = prepared.reduce((sum, entry) => sum + entry.bytes, rawBytes(entries));
    assertRoom(room, prepared.length, bytes);
    return new Promise((resolve, reject) => {
      room.events += prepared.length;
      room.bytes += bytes;
      waiting.push({ entries: prepared, runs, bytes, resolve, reject });
      freeEventsMax += prepared.length;
      const mayGoBeside = committing.size < groupsAtOnceMax && freeEventsMax >= EVENTS_BESIDE_MIN;
      if (committing.size === 0 || mayGoBeside) commitNext();
    });
  };

  const close = async (): Promise<void> => {
    closed = true;
    while (committing.size > 0) await Promise.all(committing);
  };
  return { append, close };
}

/**
 * The calls that go together, and those that are left, each in the order in which they came: all that the limits
 * allow, and at least one. A call of a busy run is left, and so is all that comes after it of any run of that call.
 */
function nextGroup(
  waiting: readonly Call[],
  busyRuns: ReadonlySet<RunId>,
): { readonly group: readonly Call[]; readonly left: Call[] } {
  const group: Call[] = [];
  const left: Call[] = [];
  const runsLeft = new Set<RunId>();
  let events = 0;
  let bytes = 0;
  for (const [index, call] of waiting.entries()) {
    if (call.runs.some((run) => busyRuns.has(run) || runsLeft.has(run))) {
      for (const run of call.runs) runsLeft.add(run);
      left.push(call);
      continue;
    }
    events += call.entries.length;
    bytes += call.bytes;
    const over = events > LIMITS.appendGroupEventsMax || bytes > LIMITS.appendGroupBytesMax;
    if (over && group.length > 0) return { group, left: [...left, ...waiting.slice(index)] };
    group.push(call);
  }
  return { group, left };
}

/** A call that finds nobody waiting is always taken, however large. */
function assertRoom(
  waiting: { readonly events: number; readonly bytes: number },
  events: number,
  bytes: number,
): void {
  const full =
    waiting.events > 0 &&
    (waiting.events + events > LIMITS.appendQueueEventsMax ||
      waiting.bytes + bytes > LIMITS.appendQueueBytesMax);
  if (!full) return;
  throw new TidegateError(
    'backlog_full',
    `${waiting.events} events wait for the journal already; send again after a moment.`,
    { details: { ...waiting } },
  );
}

/** Commits a group; when its values are refused, halves it until the refused call stands alone. */
async function commit(database: JournalDatabase, group: readonly Call[]): Promise<void> {
  try {
    const written = await writeEntries(
      database,
      group.flatMap((call) => call.entries),
    );
    await answer(database, group, written);
  } catch (error) {
    const middle = Math.ceil(group.length / 2);
    if (isDataError(error) && group.length > 1) {
      await commit(database, group.slice(0, middle));
      await commit(database, group.slice(middle));
      return;
    }
    const reason = isDataError(error) ? refusedValues() : error;
    for (const call of group) call.reject(reason);
  }
}

const refusedValues = (): TidegateError =>
  new TidegateError(
    'invalid_event',
    'an event of this call has an attribute that the journal cannot keep, such as a NUL character, half a surrogate pair, a time out of range or an identity of several thousand bytes.',
  );

async function answer(
  database: JournalDatabase,
  group: readonly Call[],
  written: readonly Written[],
): Promise<void> {
  let start = 0;
  const calls = group.map((call) => {
    const part = written.slice(start, start + call.entries.length);
    start += call.entries.length;
    return { call, part, seqs: part.flatMap(earlierSeq) };
  });
  for (const { call, part, seqs } of calls) {
    if (seqs.length === 0) call.resolve(results(call, part, new Map()));
  }
  const late = calls.filter(({ seqs }) => seqs.length > 0);
  if (late.length === 0) return;
  try {
    // After the commit: only now does a statement see what other processes committed meanwhile.
    const known = await deliveriesOfEvents(
      database,
      late.flatMap(({ seqs }) => seqs),
    );
    for (const { call, part } of late) call.resolve(results(call, part, known));
  } catch (error) {
    for (const { call } of late) call.reject(error);
  }
}

const earlierSeq = (written: Written): readonly number[] =>
  !written.fresh && 'seq' in written.first ? [written.first.seq] : [];

function results(
  call: Call,
  written: readonly Written[],
  known: ReadonlyMap<number, readonly NumberedDelivery[]>,
): readonly AppendResult[] {
  return call.entries.map((entry, index) => {
    const outcome = written[index] as Written;
    if (outcome.fresh) {
      return {
        status: entry.status,
        ...(entry.reason !== undefined && { reason: entry.reason }),
        ...(entry.held !== undefined && { held: entry.held }),
        correlationId: entry.event.correlationid,
        deliveries: outcome.deliveries,
      };
    }
    const { correlationId, first } = outcome;
    const deliveries = 'seq' in first ? (known.get(first.seq) ?? []) : first.deliveries;
    return { status: 'duplicate', correlationId, deliveries };
  });
}
