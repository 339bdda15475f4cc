import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import {
  type PreparedEntry,
  prepareEntry,
  type Written,
  writeEntries,
} from './append-statement.ts';
import { isDataError, unavailable } from './database-error.ts';
import type { AppendEntry, AppendResult, NumberedDelivery } from './deliveries.ts';
import { deliveriesOfEvents } from './event-deliveries.ts';
import { inHalves } from './in-halves.ts';
import { rawBytes } from './raw-deliveries.ts';
import type { JournalDatabase } from './schema.ts';

export interface Appender {
  readonly append: (entries: readonly AppendEntry[]) => Promise<readonly AppendResult[]>;
  /** Takes no more calls; resolves when those that waited have been committed. */
  readonly close: () => Promise<void>;
}

interface Call {
  readonly entries: readonly PreparedEntry[];
  readonly bytes: number;
  readonly resolve: (results: readonly AppendResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit. While one group is being committed later calls wait, and go together in the next;
 * a call that finds nobody ahead goes at once. There is no timer.
 */
export function makeAppender(database: JournalDatabase): Appender {
  const waiting: Call[] = [];
  const room = { events: 0, bytes: 0 };
  let flushing: Promise<void> | undefined;
  let closed = false;

  const flushAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting.splice(0, groupLength(waiting));
      for (const call of group) {
        room.events -= call.entries.length;
        room.bytes -= call.bytes;
      }
      await commit(database, group);
    }
    flushing = undefined;
  };

  const append = async (entries: readonly AppendEntry[]): Promise<readonly AppendResult[]> => {
    if (closed) throw unavailable('it was closed');
    if (entries.length === 0) return [];
    const prepared = entries.map(prepareEntry);
    const bytes = prepared.reduce((sum, entry) => sum + entry.bytes, rawBytes(entries));
    assertRoom(room, prepared.length, bytes);
    return new Promise((resolve, reject) => {
      room.events += prepared.length;
      room.bytes += bytes;
      waiting.push({ entries: prepared, bytes, resolve, reject });
      flushing ??= flushAll();
    });
  };

  const close = async (): Promise<void> => {
    closed = true;
    await flushing;
  };
  return { append, close };
}

/** How many of the waiting calls go together: all that the limits allow, and at least one. */
function groupLength(waiting: readonly Call[]): number {
  let events = 0;
  let bytes = 0;
  const tooMany = waiting.findIndex((call, index) => {
    events += call.entries.length;
    bytes += call.bytes;
    const over = events > LIMITS.appendGroupEventsMax || bytes > LIMITS.appendGroupBytesMax;
    return over && index > 0;
  });
  return tooMany === -1 ? waiting.length : tooMany;
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

const commit = (database: JournalDatabase, group: readonly Call[]): Promise<void> =>
  inHalves(group, {
    async commit(calls) {
      const entries = calls.flatMap((call) => call.entries);
      await answer(database, calls, await writeEntries(database, entries));
    },
    refuse(calls, error) {
      const reason = isDataError(error) ? refusedValues() : error;
      for (const call of calls) call.reject(reason);
    },
  });

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
