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

/** Offers a delivery to whoever collects now; false leaves it in the queue for the next window. */
export type Collector = (delivery: Delivery) => boolean;

/**
 * The ordered, deduplicated queue of a run. Numbers only rise, so one watermark recognises every
 * delivery that comes twice, however often and however late.
 */
export interface RunInbox {
  /** Takes in a batch; returns how many deliveries had been seen before. */
  accept(batch: readonly Delivery[]): number;
  /** Drops what an earlier execution has settled. */
  dropThrough(number: number): void;
  take(): Delivery | undefined;
  peek(): Delivery | undefined;
  /** Routes what is queued and what will come to a collector, until it refuses one or is removed. */
  collectWith(collector: Collector | undefined): void;
  queued(): readonly Delivery[];
  seenThrough(): number;
}

export function createInbox(seenThrough = 0, queued: readonly Delivery[] = []): RunInbox {
  let highest = seenThrough;
  let queue: Delivery[] = [...queued];
  let collector: Collector | undefined;

  const offer = (): void => {
    while (collector !== undefined) {
      const next = queue.shift();
      if (next === undefined) return;
      if (collector(next)) continue;
      queue.unshift(next);
      return;
    }
  };

  return {
    accept(batch) {
      let seenBefore = 0;
      for (const delivery of batch) {
        if (delivery.number <= highest) {
          seenBefore += 1;
          continue;
        }
        highest = delivery.number;
        queue.push(delivery);
      }
      offer();
      return seenBefore;
    },
    dropThrough(number) {
      highest = Math.max(highest, number);
      queue = queue.filter((delivery) => delivery.number > number);
    },
    take: () => queue.shift(),
    peek: () => queue[0],
    collectWith(next) {
      collector = next;
      offer();
    },
    queued: () => queue,
    seenThrough: () => highest,
  };
}
