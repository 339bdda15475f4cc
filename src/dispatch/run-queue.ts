import type { Delivery } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';

/** A hot key gets at most four calls a second: Temporal's guidance is five signals a second. */
export const SPACING_MS = 250;

/** What a dispatcher holds in all of its queues together. */
export interface InMemory {
  deliveries: number;
}

/** The deliveries of one run that a dispatcher holds, in order, none missing between them. */
export interface RunQueue {
  readonly run: RunId;
  /** Counts what waits here, too. */
  readonly inMemory: InMemory;
  /** The highest number that the run has been sent; undefined until the journal has been asked. */
  sentThrough: number | undefined;
  waiting: Delivery[];
  /** Whether the journal holds deliveries of this run beyond `waiting`. */
  isBehind: boolean;
  /** How often it fell behind: deliveries were left in the journal when they were told of. */
  left: number;
  isSending: boolean;
  /** No call before this time of `performance.now`: spacing of a hot key, or the pause after a failure. */
  notBefore: number;
  failures: number;
  /** Why Temporal takes nothing for the run, as it was logged last; undefined once it has taken something. */
  blockedFor: string | undefined;
  /** Set while one of the deliveries through a number is refused, and not known which. */
  suspects: Suspects | undefined;
}

/** Deliveries one of which is refused. */
export interface Suspects {
  readonly through: number;
  /** How many go in the next call. */
  readonly count: number;
}

export const createRunQueue = (
  run: RunId,
  { sentThrough, inMemory }: Pick<RunQueue, 'sentThrough' | 'inMemory'>,
): RunQueue => ({
  run,
  inMemory,
  sentThrough,
  waiting: [],
  isBehind: false,
  left: 0,
  isSending: false,
  notBefore: 0,
  failures: 0,
  blockedFor: undefined,
  suspects: undefined,
});

/** Notes that the journal has more of this run to send, even while it is being read. */
export function fallBehind(queue: RunQueue): void {
  queue.isBehind = true;
  queue.left += 1;
}

/** The number that the next delivery must have to be sent without asking the journal. */
const nextNumber = (queue: RunQueue): number | undefined => {
  const last = queue.waiting.at(-1)?.number ?? queue.sentThrough;
  return last === undefined ? undefined : last + 1;
};

/**
 * Takes a delivery that has just been committed. Commits of concurrent requests are told in any
 * order: one that does not follow what is held, or for which there is no room, is left in the journal, which
 * knows the order.
 */
export function offerDelivery(queue: RunQueue, delivery: Delivery): void {
  const next = nextNumber(queue);
  if (next !== undefined && delivery.number < next) return;
  const hasRoom = queue.inMemory.deliveries < LIMITS.dispatchQueueMax;
  if (!queue.isBehind && hasRoom && delivery.number === next) holdMore(queue, [delivery]);
  else fallBehind(queue);
}

/** Holds deliveries that follow what is held. */
export function holdMore(queue: RunQueue, deliveries: readonly Delivery[]): void {
  queue.waiting.push(...deliveries);
  queue.inMemory.deliveries += deliveries.length;
}

/** Holds nothing of the run any more: it is in the journal, which tells of it again. */
export function letGo(queue: RunQueue): void {
  queue.inMemory.deliveries -= queue.waiting.length;
  queue.waiting = [];
  queue.isBehind = false;
  queue.suspects = undefined;
}

/** What goes in one call. */
export interface Batch {
  readonly deliveries: readonly Delivery[];
  readonly bytes: number;
}

/** The deliveries that go together in the next call: bounded in count and bytes, never none. */
export function nextBatch({ waiting, suspects }: Pick<RunQueue, 'waiting' | 'suspects'>): Batch {
  const countMax = suspects?.count ?? LIMITS.deliveriesPerCallMax;
  const deliveries: Delivery[] = [];
  let bytes = 0;
  for (const delivery of waiting) {
    const more = Buffer.byteLength(JSON.stringify(delivery));
    const isFull = deliveries.length >= countMax || bytes + more > LIMITS.deliveryBytesPerCallMax;
    if (isFull && deliveries.length > 0) break;
    deliveries.push(delivery);
    bytes += more;
  }
  return { deliveries, bytes };
}

/** What a run was sent and is not known to have taken in. */
export interface Unasked {
  readonly count: number;
  readonly bytes: number;
}

/** Whether a run would be sent more than goes in one call without being asked. */
export const isTooMuch = (unasked: Unasked, batch: Batch): boolean =>
  unasked.count > 0 &&
  (unasked.count + batch.deliveries.length > LIMITS.deliveriesPerCallMax ||
    unasked.bytes + batch.bytes > LIMITS.deliveryBytesPerCallMax);

/** Notes that a batch has arrived. */
export function settleBatch(queue: RunQueue, batch: readonly Delivery[]): void {
  queue.sentThrough = batch.at(-1)?.number ?? queue.sentThrough;
  queue.waiting = queue.waiting.slice(batch.length);
  queue.inMemory.deliveries -= batch.length;
  queue.failures = 0;
  queue.blockedFor = undefined;
  queue.suspects = suspectsAfter(queue);
}

/** What is left of the deliveries in question, all in one call. */
function suspectsAfter({ suspects, sentThrough = 0 }: RunQueue): Suspects | undefined {
  if (suspects === undefined || sentThrough >= suspects.through) return undefined;
  return { through: suspects.through, count: suspects.through - sentThrough };
}

/**
 * Notes that a batch was refused: half of it goes next. Whatever is refused is found by twice as many calls as
 * the batch can be halved, and a batch that was too much as a whole goes in two.
 */
export function suspectBatch(queue: RunQueue, batch: readonly Delivery[]): void {
  const last = batch.at(-1);
  if (last === undefined) return;
  queue.suspects = { through: last.number, count: Math.ceil(batch.length / 2) };
}

/** Notes that the next delivery is never sent. */
export function passOverNext(queue: RunQueue): void {
  settleBatch(queue, queue.waiting.slice(0, 1));
}

/** Whether nothing is left to do for this run here. */
export const isIdle = (queue: RunQueue): boolean =>
  queue.waiting.length === 0 && !queue.isBehind && !queue.isSending;
