/**
 * From the journal to Temporal: ordered per run, one call in flight per run, later events coalesced
 * into the next call, hot keys spaced. What has just been committed goes out at once; the journal is
 * read only for what this process does not hold.
 */

import type { NumberedDelivery, PendingRun } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { runLane } from '../journal/lanes.ts';
import { messageOf } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import type { FlowLimits } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { parseRunId, type RunId } from '../model/run.ts';
import type { Logger } from '../telemetry.ts';
import { type CallFailure, classifyCallFailure, type Deliver } from './deliver.ts';
import { fairQueues } from './fair-queues.ts';
import { surplusLanes } from './lane-shares.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { type Pressure, paceFor } from './pace.ts';
import { type Repetition, repeat } from './repeat.ts';
import {
  type Batch,
  createRunQueue,
  fallBehind,
  isIdle,
  nextBatch,
  offerDelivery,
  type RunQueue,
  settleBatch,
} from './run-queue.ts';
import { sentMemory } from './sent-memory.ts';
import { slotRequests } from './slot-requests.ts';

export interface DispatcherOptions {
  readonly journal: Journal;
  readonly deliver: Deliver;
  readonly logger: Logger;
  /** Unique per process: lanes are leased to it. */
  readonly holder: string;
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
/** One cheap call at a time asks whether Temporal is back. */
const OUTAGE_PAUSE_MS_MAX = 2_000;
const REFUSED_PAUSE_MS_MAX = 30_000;
/** About 10 MB. */
const REMEMBERED_RUNS_MAX = 50_000;

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
  let leasedAt = 0;
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
    const now = Date.now();
    const pace = paceFor(pressure());
    const allowed = outage.failures > 0 ? 1 : pace.calls;
    const notBefore = Math.max(outage.until, lastCallAt + pace.pauseMs);
    let wakeAt = Number.POSITIVE_INFINITY;
    if (now < notBefore) wakeAt = notBefore;
    else {
      const served: RunQueue[] = [];
      for (const queue of queues.turns()) {
        if (queue.isSending) continue;
        if (inFlight >= allowed) {
          wakeAt = Math.min(wakeAt, now + 20);
          break;
        }
        if (queue.notBefore > now) wakeAt = Math.min(wakeAt, queue.notBefore);
        else {
          startSending(queue);
          served.push(queue);
        }
      }
      for (const queue of served) queues.served(queue);
    }
    if (Number.isFinite(wakeAt)) pumpTimer = setTimeout(pump, Math.max(1, wakeAt - now));
  }

  function startSending(queue: RunQueue): void {
    queue.isSending = true;
    inFlight += 1;
    lastCallAt = Date.now();
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
      if (queue.waiting.length === 0) await load(queue);
      const batch = nextBatch(queue.waiting);
      if (batch.deliveries.length === 0) return;
      if (await isFull(queue)) return;
      await send(queue, batch);
    } catch (error) {
      // Only the journal fails here; the lease loop reports it, the run waits.
      queue.notBefore = Date.now() + POLL_MS;
      logger.debug({ run: queue.run, reason: messageOf(error) }, 'could not read deliveries');
    }
  }

  async function load(queue: RunQueue): Promise<void> {
    // Stays behind while it reads: what is committed meanwhile is read by the next round.
    const leftBefore = queue.left;
    queue.isBehind = true;
    queue.sentThrough ??= (await journal.findRun(queue.run))?.sentThrough ?? 0;
    const loaded = await journal.deliveriesAfter(queue.run, queue.sentThrough, {
      count: LIMITS.deliveriesPerCallMax,
      bytes: LIMITS.deliveryBytesPerCallMax,
    });
    queue.waiting = [...loaded];
    inMemory += loaded.length;
    // More may follow a full page, and a page cut off by its bytes looks like a short one.
    queue.isBehind = loaded.length > 0 || queue.left !== leftBefore;
  }

  /**
   * Asks now and then whether a run's inbox is full. One that is stays in the journal, which tells of
   * it again when there is room.
   */
  async function isFull(queue: RunQueue): Promise<boolean> {
    const last = remembered.get(queue.run);
    if (last === undefined) return false;
    const { uncheckedEvents, uncheckedBytes } = last;
    const isDue =
      uncheckedEvents >= LIMITS.uncheckedEventsMax || uncheckedBytes >= LIMITS.uncheckedBytesMax;
    if (!isDue) return false;
    if (!(await journal.isHeld(queue.run))) {
      remembered.set(queue.run, { ...last, uncheckedEvents: 0, uncheckedBytes: 0 });
      return false;
    }
    inMemory -= queue.waiting.length;
    queue.waiting = [];
    queue.isBehind = false;
    return true;
  }

  async function send(queue: RunQueue, { deliveries, bytes }: Batch): Promise<void> {
    const parts = parseRunId(queue.run);
    if (parts === undefined) {
      await failed(queue, { kind: 'refused', reason: `${queue.run} is not the id of a run` });
      return;
    }
    try {
      await deliver(queue.run, parts, deliveries);
    } catch (error) {
      await failed(queue, classifyCallFailure(error));
      return;
    }
    outage = { failures: 0, until: 0 };
    inMemory -= deliveries.length;
    settleBatch(queue, deliveries);
    const now = Date.now();
    queue.notBefore = now + SPACING_MS;
    const through = deliveries.at(-1)?.number ?? 0;
    const last = remembered.get(queue.run);
    remembered.set(queue.run, {
      through,
      at: now,
      uncheckedEvents: (last?.uncheckedEvents ?? 0) + deliveries.length,
      uncheckedBytes: (last?.uncheckedBytes ?? 0) + bytes,
    });
    marks.set(queue.run, through);
  }

  async function failed(queue: RunQueue, failure: CallFailure): Promise<void> {
    const now = Date.now();
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
      case 'refused':
        queue.failures += 1;
        queue.notBefore = now + pauseMs(queue.failures + 3, REFUSED_PAUSE_MS_MAX);
        logger.error({ run: queue.run, reason: failure.reason }, 'Temporal refused deliveries');
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
    const isRenewed = Date.now() - leasedAt > LEASE_MS / 5;
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
    leasedAt = Date.now();
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

/** Doubles from 100 ms to a bound, with jitter in its upper half. */
const pauseMs = (failures: number, maxMs: number): number =>
  Math.min(maxMs, 100 * 2 ** Math.min(failures, 12)) * (0.5 + Math.random() / 2);
