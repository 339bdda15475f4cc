import type { Delivery, TidegateEvent } from '../model/event.ts';

/**
 * What a flow sees of its run's queue: pass it to a primitive that waits, such as `debounce`.
 * The event type parameter carries the flow's event types to the primitive.
 */
export interface Inbox<Event extends TidegateEvent = TidegateEvent> {
  /** Events that have come and that no window has taken yet. */
  readonly waiting: number;
  /** The event that opened the run. */
  readonly first: Event;
}

/**
 * Offers a delivery, with when it came in, to whoever collects now. `taken`: it is out of the queue.
 * `left`: it stays where it is, and what came after it is offered. `refused`: it stays, and so does
 * all that came after it.
 */
export type Collector = (delivery: Delivery, arrivedAt: number) => 'taken' | 'left' | 'refused';

/**
 * The ordered, deduplicated queue of a run. Numbers only rise, so one watermark recognises every
 * delivery that comes twice, however often and however late.
 */
export interface RunInbox {
  /** Takes in a batch at `now`; returns how many deliveries had been seen before. */
  accept(batch: readonly Delivery[], now: number): number;
  /** Drops what an earlier execution has settled. */
  dropThrough(number: number): void;
  take(): Delivery | undefined;
  peek(): Delivery | undefined;
  /** When the head of the queue came in. */
  headArrivedAt(): number | undefined;
  /** Routes what is queued and what will come to a collector, until it refuses one or is removed. */
  collectWith(collector: Collector | undefined): void;
  queued(): readonly Delivery[];
  count(): number;
  /** About how many bytes of events are queued. */
  queuedBytes(): number;
  seenThrough(): number;
  /** Every delivery up to this number has been taken: what is left in the queue comes after it. */
  takenThrough(): number;
}

interface Arrival {
  readonly delivery: Delivery;
  readonly arrivedAt: number;
  readonly bytes: number;
}

/** An inbox that has seen deliveries through a number and holds some of them, carried over at `now`. */
export function createInbox(seenThrough = 0, carried: readonly Delivery[] = [], now = 0): RunInbox {
  const arrivalAt = (delivery: Delivery, arrivedAt: number): Arrival => ({
    delivery,
    arrivedAt,
    // UTF-16 units of the JSON: close enough for a bound.
    bytes: JSON.stringify(delivery.event).length,
  });
  let highest = seenThrough;
  let queue = carried.map((delivery) => arrivalAt(delivery, now));
  let collector: Collector | undefined;
  /** How many at the head of the queue the collector has left there. */
  let left = 0;

  const offer = (): void => {
    while (collector !== undefined) {
      const next = queue[left];
      if (next === undefined) return;
      const answer = collector(next.delivery, next.arrivedAt);
      if (answer === 'refused') return;
      if (answer === 'left') left += 1;
      else queue.splice(left, 1);
    }
  };

  return {
    accept(batch, at) {
      let seenBefore = 0;
      for (const delivery of batch) {
        if (delivery.number <= highest) {
          seenBefore += 1;
          continue;
        }
        highest = delivery.number;
        queue.push(arrivalAt(delivery, at));
      }
      offer();
      return seenBefore;
    },
    dropThrough(number) {
      highest = Math.max(highest, number);
      queue = queue.filter(({ delivery }) => delivery.number > number);
    },
    take: () => queue.shift()?.delivery,
    peek: () => queue[0]?.delivery,
    headArrivedAt: () => queue[0]?.arrivedAt,
    collectWith(next) {
      collector = next;
      left = 0;
      offer();
    },
    queued: () => queue.map(({ delivery }) => delivery),
    count: () => queue.length,
    queuedBytes: () => queue.reduce((sum, { bytes }) => sum + bytes, 0),
    seenThrough: () => highest,
    takenThrough: () => (queue[0]?.delivery.number ?? highest + 1) - 1,
  };
}
