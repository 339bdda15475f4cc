/**
 * From the journal to Temporal: ordered per run, one call in flight per run, later events coalesced
 * into the next call, hot keys spaced. What has just been committed goes out at once; the journal is
 * read only for what this process does not hold. Its times are of a clock that is never set back: with the
 * wall clock, runs and leases waited for as long as that had been set back by.
 */

import { performance } from 'node:perf_hooks';
import type { NumberedDelivery, PendingRun } from '../journal/deliveries.ts';
import { runLane } from '../journal/lanes.ts';
import { messageOf } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import type { FlowLimits } from '../model/flow-registry.ts';
import type { RunId } from '../model/run.ts';
import { type Repetition, repeat } from '../repeat.ts';
import { callsInFlight } from './calls-in-flight.ts';
import { fairQueues, takeTurns } from './fair-queues.ts';
import { heldLanes } from './held-lanes.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { type Pressure, paceFor } from './pace.ts';
import {
  createRunQueue,
  fallBehind,
  isIdle,
  letGo,
  offerDelivery,
  type RunQueue,
  SPACING_MS,
} from './run-queue.ts';
import { type RunSenderOptions, runSender } from './run-sender.ts';
import { sentMarks } from './sent-marks.ts';
import { sentMemory } from './sent-memory.ts';
import { slotRequests } from './slot-requests.ts';
import { wakeOthers } from './wake-others.ts';

export interface DispatcherOptions extends RunSenderOptions {
  /** What delays runs, by flow: those that wait for a slot are sent when they have one. @default nothing */
  readonly limits?: ReadonlyMap<string, FlowLimits>;
  /** How hard the process works. @default not at all */
  readonly pressure?: () => Pressure;
  /** Called with the lanes held, after each renewal of their lease. */
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

const POLL_MS = 500;
/** How often dispatchers wake each other, and look, at most. */
const WAKE_PAUSE_MS = 20;
const PENDING_RUNS_MAX = 2_000;
const MARK_MS = 50;
/** With as many calls in flight as may be: the pace may change before one of them ends. */
const FULL_MS = 20;
/** About 10 MB. */
const REMEMBERED_RUNS_MAX = 50_000;

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { journal, logger, holder, limits = new Map<string, FlowLimits>() } = options;
  const pressure = options.pressure ?? (() => ({ utilization: 0, commitsAwaited: 0 }));
  const queues = fairQueues();
  const inMemory = { deliveries: 0 };
  const remembered = sentMemory(REMEMBERED_RUNS_MAX);
  const marks = sentMarks({ journal, holder });
  const sender = runSender(options, { remembered, marks });
  const lanes = heldLanes({ journal, holder, beforeRelease: marks.flush });
  const calls = callsInFlight();
  const tasks = new Set<Promise<void>>();
  let lastCallAt = 0;
  let pumpTimer: NodeJS.Timeout | undefined;
  let isReviewed = false;
  let isStopped = false;
  const repetitions: Repetition[] = [];
  const others = wakeOthers({ journal, logger, pauseMs: WAKE_PAUSE_MS });
  const slots = slotRequests({
    journal,
    limits,
    logger,
    onAdmitted(runs) {
      for (const run of runs) sendPending(run);
      pump();
    },
  });
  const pickUps = oneAtATime(pickUp, {
    onFailure: (error) =>
      logger.debug({ reason: messageOf(error) }, 'could not read what another process took in'),
    pauseMs: WAKE_PAUSE_MS,
  });

  const isOurs = (run: RunId): boolean => lanes.has(runLane(run));

  function offer(
    deliveries: readonly { readonly target: NumberedDelivery; readonly event: TidegateEvent }[],
  ): void {
    const elsewhere = new Set<number>();
    for (const { target, event } of deliveries) {
      if (target.waits) {
        slots.ask();
        continue;
      }
      if (!isOurs(target.run)) {
        elsewhere.add(runLane(target.run));
        continue;
      }
      const queue = queueOf(target.run, target.number === 1 ? 0 : undefined);
      offerDelivery(queue, { number: target.number, event });
    }
    others.wake(elsewhere);
    pump();
  }

  function sendPending(pending: PendingRun): void {
    if (!isOurs(pending.run)) return;
    const sent = Math.max(pending.sentThrough, remembered.get(pending.run)?.through ?? 0);
    if (sent < pending.acceptedThrough) fallBehind(queueOf(pending.run, sent));
  }

  function queueOf(run: RunId, sentThrough: number | undefined): RunQueue {
    const existing = queues.get(run);
    if (existing !== undefined) return existing;
    const last = remembered.get(run);
    const queue = createRunQueue(run, { sentThrough: last?.through ?? sentThrough, inMemory });
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
    const outage = sender.outage();
    // In an outage one place more than is taken, of which only a tenant without a call under way has a share:
    // one cheap call of each asks whether Temporal is back.
    const places = outage.failures > 0 ? Math.min(pace.calls, calls.all() + 1) : pace.calls;
    const notBefore = Math.max(outage.until, lastCallAt + pace.pauseMs);
    let wakeAt = notBefore;
    if (now >= notBefore) {
      const turns = takeTurns(queues, calls, { now, places });
      for (const queue of turns.taken) startSending(queue);
      wakeAt = turns.isMoreDue ? now + FULL_MS : turns.nextAt;
    }
    if (Number.isFinite(wakeAt)) pumpTimer = setTimeout(pump, Math.max(1, wakeAt - now));
  }

  function startSending(queue: RunQueue): void {
    queue.isSending = true;
    lastCallAt = performance.now();
    const task = sender.sendNext(queue).then(() => {
      tasks.delete(task);
      calls.end(queue.run);
      queue.isSending = false;
      // Fair between runs: one that has had its turn goes to the end.
      queues.delete(queue.run);
      if (!isOurs(queue.run)) letGo(queue);
      if (!isIdle(queue)) queues.add(queue);
      pump();
    });
    tasks.add(task);
  }

  async function poll(): Promise<void> {
    const isRenewed = await lanes.renew(performance.now());
    if (isRenewed) {
      letGoOfOthers();
      options.onLanes?.(lanes.all());
    }
    await lanes.giveUp(queues.all());
    // Limits may have changed with this process.
    if (!isReviewed) await journal.reviewWaiting();
    isReviewed = true;
    // Without limits of its own, only for what an older process may have left waiting.
    if (limits.size > 0 || isRenewed) slots.ask();
    await pickUp();
  }

  /** Only what is being sent now is held until that has ended. */
  function letGoOfOthers(): void {
    for (const queue of [...queues.all()]) {
      if (isOurs(queue.run) || queue.isSending) continue;
      letGo(queue);
      queues.delete(queue.run);
    }
  }

  /** What this process does not hold: after a crash, from elsewhere, or for want of room. */
  async function pickUp(): Promise<void> {
    const held = lanes.all();
    if (held.length === 0) return;
    for (const pending of await journal.pendingRuns(held, PENDING_RUNS_MAX)) {
      if (!queues.has(pending.run)) sendPending(pending);
    }
    pump();
  }

  return {
    offer,
    start() {
      journal.onWake((woken) => {
        if (woken.some(lanes.has)) pickUps.ask();
      });
      repetitions.push(
        repeat(poll, {
          everyMs: POLL_MS,
          failure: 'cannot read deliveries from the journal',
          logger,
        }),
        repeat(marks.flush, { everyMs: MARK_MS, failure: 'cannot note what was sent', logger }),
      );
    },
    async stop() {
      isStopped = true;
      clearTimeout(pumpTimer);
      await Promise.all([...repetitions, slots, pickUps, others].map((part) => part.stop()));
      await Promise.all(tasks);
      try {
        await lanes.release();
      } catch (error) {
        // Lanes expire by themselves, and what is sent again is recognised by its number.
        logger.warn({ reason: messageOf(error) }, 'could not hand over to another dispatcher');
      }
    },
  };
}
