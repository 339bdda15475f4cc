/**
 * From the journal to Temporal: ordered per run, one call in flight per run, later events coalesced
 * into the next call, hot keys spaced. What has just been committed goes out at once; the journal is
 * read only for what this process does not hold. Its times are of a clock that is never set back: with the
 * wall clock, runs and leases waited for as long as that had been set back by.
 */

import { performance } from 'node:perf_hooks';
import type { NumberedDelivery, PendingRun } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { runLane } from '../journal/lanes.ts';
import { messageOf } from '../model/error.ts';
import type { Delivery, TidegateEvent } from '../model/event.ts';
import type { FlowLimits, WhenUndeliverable } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import { type Repetition, repeat } from '../repeat.ts';
import type { Logger } from '../telemetry.ts';
import { type CallFailure, classifyCallFailure, type Deliver, type HasTakenIn } from './deliver.ts';
import { fairQueues, takeTurns } from './fair-queues.ts';
import { surplusLanes } from './lane-shares.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { type Pressure, paceFor } from './pace.ts';
import {
  type Batch,
  createRunQueue,
  fallBehind,
  isIdle,
  isTooMuch,
  nextBatch,
  offerDelivery,
  passOverNext,
  type RunQueue,
  settleBatch,
  suspectBatch,
} from './run-queue.ts';
import { type Sent, sentMemory } from './sent-memory.ts';
import { slotRequests } from './slot-requests.ts';

export interface DispatcherOptions {
  readonly journal: Journal;
  readonly deliver: Deliver;
  /** Whether a run has taken in all that it was sent. @default it is believed to have */
  readonly hasTakenIn?: HasTakenIn;
  readonly logger: Logger;
  /** Unique per process: lanes are leased to it. */
  readonly holder: string;
  /** What becomes of later deliveries of a run when one is refused, by flow. @default they are held */
  readonly whenUndeliverable?: (flow: string) => WhenUndeliverable | undefined;
  /** What delays runs, by flow: those that wait for a slot are sent when they have one. @default nothing */
  readonly limits?: ReadonlyMap<string, FlowLimits>;
  /** How hard the process works. @default not at all */
  readonly pressure?: () => Pressure;
  /** Called with the lanes held, after each look at the journal. */
  readonly onLanes?: (lanes: readonly number[]) => void;
}

export interface Dispatcher {
  /** Tells of deliveries that have just been committed. */
  offer(
    deliveries: readonly { readonly target: NumberedDelivery; readonly event: TidegateEvent }[],
  ): void;
  start(): void;
  /** Ends after the calls in flight have; what was not sent is in the journal. */
  stop(): Promise<void>;
}

/** A hot key gets at most four calls a second: Temporal's guidance is five signals a second. */
const SPACING_MS = 250;
const LEASE_MS = 10_000;
const POLL_MS = 500;
/** How often dispatchers wake each other, and look, at most. */
const WAKE_PAUSE_MS = 20;
const PENDING_RUNS_MAX = 2_000;
const MARK_MS = 50;
/** With as many calls in flight as may be: the pace may change before one of them ends. */
const FULL_MS = 20;
/** One cheap call at a time asks whether Temporal is back. */
const OUTAGE_PAUSE_MS_MAX = 2_000;
const REFUSED_PAUSE_MS_MAX = 30_000;
/** About 10 MB. */
const REMEMBERED_RUNS_MAX = 50_000;
const NOTHING_UNASKED = { count: 0, bytes: 0 };

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { journal, deliver, logger, holder } = options;
  const queues = fairQueues();
  const remembered = sentMemory(REMEMBERED_RUNS_MAX);
  const marks = new Map<RunId, number>();
  const pressure = options.pressure ?? (() => ({ utilization: 0, commitsAwaited: 0 }));
  let lanes: ReadonlySet<number> = new Set();
  /** Held until nothing of them is in flight: other dispatchers are to have them. */
  let leaving: readonly number[] = [];
  let inMemory = 0;
  let inFlight = 0;
  let outage = { failures: 0, until: 0 };
  let lastCallAt = 0;
  let isStopped = false;
  let pumpTimer: NodeJS.Timeout | undefined;
  let leasedAt = Number.NEGATIVE_INFINITY;
  let isReviewed = false;
  const repetitions: Repetition[] = [];
  const tasks = new Set<Promise<void>>();
  const limits = options.limits ?? new Map<string, FlowLimits>();
  const slots = slotRequests({
    journal,
    limits,
    logger,
    onAdmitted(runs) {
      for (const run of runs) sendPending(run);
      pump();
    },
  });

  /** Lanes of others in which something has come in by this process. */
  const elsewhere = new Set<number>();
  const wakeOthers = oneAtATime(
    async () => {
      const woken = [...elsewhere];
      elsewhere.clear();
      if (woken.length > 0) await journal.wake(woken);
    },
    {
      // Their next poll finds it.
      onFailure: (error) =>
        logger.debug({ reason: messageOf(error) }, 'could not wake other dispatchers'),
      pauseMs: WAKE_PAUSE_MS,
    },
  );
  const pickUps = oneAtATime(pickUp, {
    onFailure: (error) =>
      logger.debug({ reason: messageOf(error) }, 'could not read what another process took in'),
    pauseMs: WAKE_PAUSE_MS,
  });

  const track = (task: Promise<void>): void => {
    tasks.add(task);
    void task.finally(() => tasks.delete(task));
  };

  function offer(
    deliveries: readonly { readonly target: NumberedDelivery; readonly event: TidegateEvent }[],
  ): void {
    for (const { target, event } of deliveries) {
      if (target.waits) {
        slots.ask();
        continue;
      }
      const lane = runLane(target.run);
      if (!lanes.has(lane)) {
        elsewhere.add(lane);
        continue;
      }
      const queue = queueOf(target.run, target.number === 1 ? 0 : undefined);
      if (
        offerDelivery(queue, { number: target.number, event }, inMemory < LIMITS.dispatchQueueMax)
      ) {
        inMemory += 1;
      }
    }
    if (elsewhere.size > 0) wakeOthers.ask();
    pump();
  }

  function sendPending(pending: PendingRun): void {
    if (!lanes.has(runLane(pending.run))) return;
    const sent = Math.max(pending.sentThrough, remembered.get(pending.run)?.through ?? 0);
    if (sent < pending.acceptedThrough) fallBehind(queueOf(pending.run, sent));
  }

  function queueOf(run: RunId, sent: number | undefined): RunQueue {
    const existing = queues.get(run);
    if (existing !== undefined) return existing;
    const last = remembered.get(run);
    const queue = createRunQueue(run, last?.through ?? sent);
    queue.notBefore = last === undefined ? 0 : last.at + SPACING_MS;
    queues.add(queue);
    return queue;
  }

  /** Starts as many calls as are allowed now; called whenever something may have changed. */
  function pump(): void {
    clearTimeout(pumpTimer);
    if (isStopped) return;
    const now = performance.now();
    const pace = paceFor(pressure());
    const allowed = outage.failures > 0 ? 1 : pace.calls;
    const notBefore = Math.max(outage.until, lastCallAt + pace.pauseMs);
    let wakeAt = notBefore;
    if (now >= notBefore) {
      const turns = takeTurns(queues, { now, most: allowed - inFlight });
      for (const queue of turns.taken) startSending(queue);
      wakeAt = turns.isMoreDue ? now + FULL_MS : turns.nextAt;
    }
    if (Number.isFinite(wakeAt)) pumpTimer = setTimeout(pump, Math.max(1, wakeAt - now));
  }

  function startSending(queue: RunQueue): void {
    queue.isSending = true;
    inFlight += 1;
    lastCallAt = performance.now();
    track(
      sendNext(queue).finally(() => {
        inFlight -= 1;
        queue.isSending = false;
        // Fair between runs: one that has had its turn goes to the end.
        queues.delete(queue.run);
        if (lanes.has(runLane(queue.run))) {
          if (!isIdle(queue)) queues.add(queue);
        } else inMemory -= queue.waiting.length;
        pump();
      }),
    );
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
      queue.notBefore = performance.now() + POLL_MS;
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
    queue.waiting.push(...loaded);
    inMemory += loaded.length;
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
      leaveInJournal(queue);
      return false;
    }
    remembered.set(queue.run, { ...last, unasked: NOTHING_UNASKED });
    return true;
  }

  async function isTakenIn(queue: RunQueue): Promise<boolean> {
    try {
      if ((await options.hasTakenIn?.(queue.run)) ?? true) return true;
      queue.failures += 1;
      const pause = Math.max(SPACING_MS, pauseMs(queue.failures, OUTAGE_PAUSE_MS_MAX));
      queue.notBefore = performance.now() + pause;
    } catch (error) {
      const failure = classifyCallFailure(error);
      // It was only asked: there is no event in it to blame.
      await failed(queue, failure.kind === 'refused' ? { ...failure, kind: 'blocked' } : failure);
    }
    return false;
  }

  async function send(queue: RunQueue, { deliveries, bytes }: Batch): Promise<void> {
    const parts = parseRunId(queue.run);
    if (parts === undefined) {
      await failed(queue, { kind: 'blocked', reason: `${queue.run} is not the id of a run` });
      return;
    }
    const before = remembered.get(queue.run) ?? neverCalled(queue);
    const unasked = {
      count: before.unasked.count + deliveries.length,
      bytes: before.unasked.bytes + bytes,
    };
    try {
      await deliver(queue.run, parts, deliveries);
    } catch (error) {
      const failure = classifyCallFailure(error);
      // It may have arrived: what is sent again and again adds up in the run's history.
      if (failure.kind === 'outage') remembered.set(queue.run, { ...before, unasked });
      if (failure.kind === 'refused') await refused(queue, deliveries, failure.reason);
      else await failed(queue, failure);
      return;
    }
    outage = { failures: 0, until: 0 };
    inMemory -= deliveries.length;
    settleBatch(queue, deliveries);
    const now = performance.now();
    queue.notBefore = now + SPACING_MS;
    const through = deliveries.at(-1)?.number ?? 0;
    remembered.set(queue.run, { through, at: now, unasked });
    marks.set(queue.run, through);
  }

  /** Halves the batch until the one delivery is alone that is refused; sends that again, then sets it aside. */
  async function refused(
    queue: RunQueue,
    batch: readonly Delivery[],
    reason: string,
  ): Promise<void> {
    // Temporal is there, and said so.
    outage = { failures: 0, until: 0 };
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
    if (isMine && !holds) {
      inMemory -= 1;
      passOverNext(queue);
    } else leaveInJournal(queue);
  }

  const ruleOf = (run: RunId): WhenUndeliverable =>
    options.whenUndeliverable?.(parseRunId(run)?.flow ?? '') ?? 'hold';

  /** Nothing more of it until the journal tells of it again. */
  function leaveInJournal(queue: RunQueue): void {
    inMemory -= queue.waiting.length;
    queue.waiting = [];
    queue.isBehind = false;
    queue.suspects = undefined;
  }

  async function failed(
    queue: RunQueue,
    failure: Exclude<CallFailure, { readonly kind: 'refused' }>,
  ): Promise<void> {
    const now = performance.now();
    switch (failure.kind) {
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
        logger.error(
          { run: queue.run, reason: failure.reason },
          'Temporal takes nothing for a run',
        );
        await journal.markDispatchFailed(queue.run, failure.reason);
        return;
      default:
        failure.kind satisfies never;
    }
  }

  async function flushMarks(): Promise<void> {
    if (marks.size === 0) return;
    const taken = [...marks].map(([run, through]) => ({ run, through }));
    marks.clear();
    try {
      await journal.markSent(holder, taken);
    } catch (error) {
      // Kept for the next round; until then a restart would send these again, which runs recognise.
      for (const { run, through } of taken) marks.set(run, Math.max(through, marks.get(run) ?? 0));
      throw error;
    }
  }

  async function poll(): Promise<void> {
    const isRenewed = performance.now() - leasedAt > LEASE_MS / 5;
    if (isRenewed) await renewLanes();
    await giveUpLanes();
    // Limits may have changed with this process.
    if (!isReviewed) await journal.reviewWaiting();
    isReviewed = true;
    // Without limits of its own, only for what an older process may have left waiting.
    if (limits.size > 0 || isRenewed) slots.ask();
    await pickUp();
  }

  async function renewLanes(): Promise<void> {
    const lease = await journal.leaseLanes(holder, LEASE_MS);
    leaving = surplusLanes(lease);
    lanes = new Set(lease.lanes.filter((lane) => !leaving.includes(lane)));
    leasedAt = performance.now();
    for (const queue of [...queues.all()]) {
      if (lanes.has(runLane(queue.run)) || queue.isSending) continue;
      inMemory -= queue.waiting.length;
      queues.delete(queue.run);
    }
    options.onLanes?.([...lanes]);
  }

  /** What was sent is noted first, so that the next holder does not send it again. */
  async function giveUpLanes(): Promise<void> {
    if (leaving.length === 0) return;
    const sending = new Set([...queues.all()].map(({ run }) => runLane(run)));
    const given = leaving.filter((lane) => !sending.has(lane));
    if (given.length === 0) return;
    await flushMarks();
    await journal.releaseLanes(holder, given);
    leaving = leaving.filter((lane) => !given.includes(lane));
  }

  /** What this process does not hold: after a crash, from elsewhere, or for want of room. */
  async function pickUp(): Promise<void> {
    if (lanes.size === 0) return;
    for (const pending of await journal.pendingRuns([...lanes], PENDING_RUNS_MAX)) {
      if (!queues.has(pending.run)) sendPending(pending);
    }
    pump();
  }

  return {
    offer,
    start() {
      journal.onWake((woken) => {
        if (woken.some((lane) => lanes.has(lane))) pickUps.ask();
      });
      repetitions.push(
        repeat(poll, {
          everyMs: POLL_MS,
          failure: 'cannot read deliveries from the journal',
          logger,
        }),
        repeat(flushMarks, { everyMs: MARK_MS, failure: 'cannot note what was sent', logger }),
      );
    },
    async stop() {
      isStopped = true;
      clearTimeout(pumpTimer);
      await Promise.all([...repetitions, slots, pickUps, wakeOthers].map((part) => part.stop()));
      await Promise.allSettled([...tasks]);
      try {
        await flushMarks();
        await journal.releaseLanes(holder);
      } catch (error) {
        // Lanes expire by themselves, and what is sent again is recognised by its number.
        logger.warn({ reason: messageOf(error) }, 'could not hand over to another dispatcher');
      }
    },
  };
}

const neverCalled = ({ sentThrough = 0 }: RunQueue): Sent => ({
  through: sentThrough,
  at: Number.NEGATIVE_INFINITY,
  unasked: NOTHING_UNASKED,
});

/** Doubles from 100 ms to a bound, with jitter in its upper half. */
const pauseMs = (failures: number, maxMs: number): number =>
  Math.min(maxMs, 100 * 2 ** Math.min(failures, 12)) * (0.5 + Math.random() / 2);
