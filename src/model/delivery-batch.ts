/**
 * Deliveries as Temporal is given them. What the events of a batch have alike is said once: half of an event
 * is its envelope, and Temporal and the worker cost by the byte.
 */
import type { Delivery, TidegateEvent } from './event.ts';
import { LIMITS } from './limits.ts';

/** The one argument of a `deliver` signal. A list where packing gains nothing, and in histories from before it. */
export type DeliveryBatch = readonly Delivery[] | PackedDeliveries;

/** Deliveries without a gap, none of them so large that its data stays in the journal. Stored in histories. */
export interface PackedDeliveries {
  /** The number of the first. The name stands first in the JSON: {@link PACKED_PREFIX}. */
  readonly deliveriesFrom: number;
  /** The attributes that all events have alike. */
  readonly common: EventAttributes;
  /** The others of each. An event without `correlationid` here and in `common` has its own id there. */
  readonly events: readonly EventAttributes[];
}

type EventAttributes = Partial<TidegateEvent>;

/** How the JSON of {@link PackedDeliveries} begins, and of nothing else that Temporal is given. */
export const PACKED_PREFIX = '{"deliveriesFrom":';

/** Packs a batch, if it can be and is worth it. */
export function packDeliveries(batch: readonly Delivery[]): DeliveryBatch {
  const [first, second] = batch;
  if (first === undefined || second === undefined) return batch;
  const isPackable = (delivery: Delivery, index: number): boolean =>
    delivery.number === first.number + index && isSmall(delivery.event);
  if (!batch.every(isPackable)) return batch;

  const common = Object.fromEntries(
    Object.entries(first.event).filter(
      ([name, value]) => name !== 'id' && name !== 'data' && isAlike(batch, name, value),
    ),
  );
  const events = batch.map(({ event }) => without(event, common));
  return { deliveriesFrom: first.number, common, events };
}

const isAlike = (batch: readonly Delivery[], name: string, value: unknown): boolean =>
  typeof value !== 'object' &&
  batch.every(({ event }) => event[name as keyof TidegateEvent] === value);

/** Each UTF-16 unit is three bytes at most. */
const isSmall = ({ data }: TidegateEvent): boolean =>
  (JSON.stringify(data) ?? '').length * 3 <= LIMITS.inlineDataBytesMax;

function without(event: TidegateEvent, common: EventAttributes): EventAttributes {
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(event)) {
    const isOwnStory = name === 'correlationid' && value === event.id;
    if (!isOwnStory && !Object.hasOwn(common, name)) rest[name] = value;
  }
  return rest;
}

/** The deliveries of a batch; undefined for what is none: anybody can send a signal from the Web UI. */
export function unpackDeliveries(batch: unknown): readonly Delivery[] | undefined {
  const deliveries = isPacked(batch) ? unpack(batch) : batch;
  return Array.isArray(deliveries) && deliveries.every(isDelivery) ? deliveries : undefined;
}

const unpack = ({ deliveriesFrom, common, events }: PackedDeliveries): readonly unknown[] =>
  events.map((own, index) => ({
    number: deliveriesFrom + index,
    event: { correlationid: own?.id, ...common, ...own },
  }));

function isPacked(batch: unknown): batch is PackedDeliveries {
  const { deliveriesFrom, common, events } = (batch ?? {}) as Partial<PackedDeliveries>;
  return (
    Number.isSafeInteger(deliveriesFrom) &&
    typeof common === 'object' &&
    common !== null &&
    Array.isArray(events)
  );
}

function isDelivery(value: unknown): value is Delivery {
  const { number, event } = (value ?? {}) as {
    number?: unknown;
    event?: { id?: unknown; type?: unknown };
  };
  return (
    Number.isSafeInteger(number) && typeof event?.id === 'string' && typeof event.type === 'string'
  );
}
