/**
 * One call to one run: what goes in it, whether the run may be sent it, and what becomes of it. Whatever fails,
 * nothing is lost: what was not sent is in the journal, and what may have been sent is sent again, which
 * the run recognises by its number.
 */

import { performance } from 'node:perf_hooks';
import type { Journal } from '../journal/journal.ts';
import { messageOf } from '../model/error.ts';
import type { Delivery } from '../model/event.ts';
import type { WhenUndeliverable } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import type { Logger } from '../telemetry.ts';
import { type CallFailure, classifyCallFailure, type Deliver, type HasTakenIn } from './deliver.ts';
import {
  type Batch,
  holdMore,
  isTooMuch,
  letGo,
  nextBatch,
  passOverNext,
  type RunQueue,
  SPACING_MS,
  settleBatch,
  suspectBatch,
} from './run-queue.ts';
import type { SentMarks } from './sent-marks.ts';
import type { Sent, SentMemory } from './sent-memory.ts';

export interface RunSenderOptions {
  readonly journal: Journal;
  readonly deliver: Deliver;
  /** Whether a run has taken in all that it was sent. @default it is believed to have */
  readonly hasTakenIn?: HasTakenIn;
  readonly logger: Logger;
  /** Unique per process: lanes are leased to it. */
  readonly holder: string;
  /** What becomes of later deliveries of a run when one is refused, by flow. @default they are held */
  readonly whenUndeliverable?: (flow: string) => WhenUndeliverable | undefined;
}

export interface RunSender {
  /** Sends the next deliveries of a run in one call; its queue says what is left and when. Never rejects. */
  sendNext(queue: RunQueue): Promise<void>;
  outage(): Outage;
}

/** For how long Temporal has not answered. */
export interface Outage {
  /** Calls without an answer, since the last that had one. */
  readonly failures: number;
  /** No call before this time of `performance.now`. */
  readonly until: number;
}

const NO_OUTAGE: Outage = { failures: 0, until: 0 };
const OUTAGE_PAUSE_MS_MAX = 2_000;
const REFUSED_PAUSE_MS_MAX = 30_000;
const JOURNAL_PAUSE_MS = 500;
const NOTHING_UNASKED = { count: 0, bytes: 0 };

/** @param known where it is kept how far runs were sent: for the next call, and for the journal. */
export function runSender(
  options: RunSenderOptions,
  known: { readonly remembered: SentMemory; readonly marks: SentMarks },
): RunSender {
  const { journal, deliver, logger, holder } = options;
  const { remembered, marks } = known;
  let outage = NO_OUTAGE;
  let answeredAt = Number.NEGATIVE_INFINITY;

  function noteAnswer(): void {
    outage = NO_OUTAGE;
    answeredAt = performance.now();
  }

  async function sendNext(queue: RunQueue): Promise<void> {
    try {
      let batch = nextBatch(queue);
      if (batch.deliveries.length === queue.waiting.length && queue.isBehind) {
        await load(queue);
        batch = nextBatch(queue);
      }
      if (batch.deliveries.length === 0) return;
      if (await mayTake(queue, batch)) await send(queue, batch);
    } catch (error) {
      // Only the journal fails here; the lease loop reports it, the run waits.
      queue.notBefore = performance.now() + JOURNAL_PAUSE_MS;
      logger.debug({ run: queue.run, reason: messageOf(error) }, 'could not read deliveries');
    }
  }

  /** Fills up what is held of a run: a call with half of what it could carry costs as much as a full one. */
  async function load(queue: RunQueue): Promise<void> {
    // Stays behind while it reads: what is committed meanwhile is read by the next round.
    const leftBefore = queue.left;
    queue.isBehind = true;
    queue.sentThrough ??= (await journal.findRun(queue.run))?.sentThrough ?? 0;
    const after = queue.waiting.at(-1)?.number ?? queue.sentThrough;
    const loaded = await journal.deliveriesAfter(queue.run, after, {
      count: LIMITS.deliveriesPerCallMax,
      bytes: LIMITS.deliveryBytesPerCallMax,
    });
    holdMore(queue, loaded);
    // More may follow a full page, and a page cut off by its bytes looks like a short one.
    queue.isBehind = loaded.length > 0 || queue.left !== leftBefore;
  }

  /**
   * A run is sent one full call ahead of what it is known to have taken in: with no worker for it, or a body
   * that is busy, its history and its inbox would grow until Temporal ended it. One whose inbox is full
   * stays in the journal, which tells of it again when there is room.
   */
  async function mayTake(queue: RunQueue, batch: Batch): Promise<boolean> {
    const last = remembered.get(queue.run);
    if (last === undefined || !isTooMuch(last.unasked, batch)) return true;
    if (!(await isTakenIn(queue))) return false;
    // Asked after: in taking them in, it has told the journal whether it is full now.
    if (await journal.isHeld(queue.run)) {
      letGo(queue);
      return false;
    }
    remembered.set(queue.run, { ...last, unasked: NOTHING_UNASKED });
    return true;
  }

  async function isTakenIn(queue: RunQueue): Promise<boolean> {
    const begunAt = performance.now();
    try {
      if ((await options.hasTakenIn?.(queue.run)) ?? true) return true;
      queue.failures += 1;
      const pause = Math.max(SPACING_MS, pauseMs(queue.failures, OUTAGE_PAUSE_MS_MAX));
      queue.notBefore = performance.now() + pause;
    } catch (error) {
      const failure = classifyCallFailure(error);
      // It was only asked: there is no event in it to blame.
      const ofRun = failure.kind === 'refused' ? { ...failure, kind: 'blocked' as const } : failure;
      await failed(queue, ofRun, begunAt);
    }
    return false;
  }

  async function send(queue: RunQueue, { deliveries, bytes }: Batch): Promise<void> {
    const begunAt = performance.now();
    const parts = parseRunId(queue.run);
    if (parts === undefined) {
      const reason = `${queue.run} is not the id of a run`;
      await failed(queue, { kind: 'blocked', reason }, begunAt);
      return;
    }
    const before = remembered.get(queue.run) ?? neverCalled(queue);
    const unasked = {
      count: before.unasked.count + deliveries.length,
      bytes: before.unasked.bytes + bytes,
    };
    let execution: string | undefined;
    try {
      execution = await deliver(queue.run, parts, deliveries);
    } catch (error) {
      const failure = classifyCallFailure(error);
      // It may have arrived: what is sent again and again adds up in the run's history.
      if (failure.kind === 'outage') remembered.set(queue.run, { ...before, unasked });
      if (failure.kind === 'refused') await refused(queue, deliveries, failure.reason);
      else await failed(queue, failure, begunAt);
      return;
    }
    noteAnswer();
    settleBatch(queue, deliveries);
    const now = performance.now();
    queue.notBefore = now + SPACING_MS;
    const through = deliveries.at(-1)?.number ?? 0;
    remembered.set(queue.run, { through, at: now, unasked });
    marks.note({ run: queue.run, through, ...(execution !== undefined && { execution }) });
  }

  /** Halves the batch until the one delivery is alone that is refused; sends that again, then sets it aside. */
  async function refused(
    queue: RunQueue,
    batch: readonly Delivery[],
    reason: string,
  ): Promise<void> {
    // Temporal is there, and said so.
    noteAnswer();
    suspectBatch(queue, batch);
    const [first] = batch;
    if (first === undefined || batch.length > 1) return;
    const { run } = queue;
    const { number } = first;
    const attempts = await journal.countRefusal({ run, number, reason });
    if (attempts < LIMITS.refusedAttemptsMax) {
      queue.notBefore = performance.now() + pauseMs(attempts + 1, REFUSED_PAUSE_MS_MAX);
      return;
    }
    const holds = ruleOf(run) === 'hold';
    const isMine = await journal.setAside(holder, { run, number, reason, holds });
    logger.error({ run, number, reason }, 'Temporal refuses a delivery: see its dead letter');
    if (isMine && !holds) passOverNext(queue);
    else letGo(queue);
  }

  const ruleOf = (run: RunId): WhenUndeliverable =>
    options.whenUndeliverable?.(parseRunId(run)?.flow ?? '') ?? 'hold';

  async function failed(
    queue: RunQueue,
    failure: Exclude<CallFailure, { readonly kind: 'refused' }>,
    begunAt: number,
  ): Promise<void> {
    const now = performance.now();
    // When another call has had an answer since it began, this one says nothing of Temporal.
    const kind = failure.kind === 'outage' && answeredAt > begunAt ? 'busy' : failure.kind;
    switch (kind) {
      case 'outage':
        outage = {
          failures: outage.failures + 1,
          until: now + pauseMs(outage.failures, OUTAGE_PAUSE_MS_MAX),
        };
        if (outage.failures === 1) {
          logger.warn(
            { reason: failure.reason },
            'Temporal does not answer; events wait in the journal',
          );
        }
        return;
      case 'busy':
        queue.failures += 1;
        queue.notBefore = now + pauseMs(queue.failures - 1, OUTAGE_PAUSE_MS_MAX);
        return;
      case 'blocked':
        queue.failures += 1;
        queue.notBefore = now + pauseMs(queue.failures + 3, REFUSED_PAUSE_MS_MAX);
        if (queue.blockedFor !== failure.reason) {
          logger.error(
            { run: queue.run, reason: failure.reason },
            'Temporal takes nothing for a run: it is tried again until it does',
          );
        }
        queue.blockedFor = failure.reason;
        await journal.markDispatchFailed(queue.run, failure.reason);
        return;
      default:
        kind satisfies never;
    }
  }

  return { sendNext, outage: () => outage };
}

const neverCalled = ({ sentThrough = 0 }: RunQueue): Sent => ({
  through: sentThrough,
  at: Number.NEGATIVE_INFINITY,
  unasked: NOTHING_UNASKED,
});

/** Doubles from 100 ms to a bound, with jitter in its upper half. */
const pauseMs = (failures: number, maxMs: number): number =>
  Math.min(maxMs, 100 * 2 ** Math.min(failures, 12)) * (0.5 + Math.random() / 2);
