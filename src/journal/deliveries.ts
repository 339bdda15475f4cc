/** What the ingress hands to the journal, and what a dispatcher takes from it. */
import type { ErrorCode } from '../model/error.ts';
import type { JournalledStatus, TidegateEvent } from '../model/event.ts';
import type { Fuse } from '../model/flow-registry.ts';
import type { RunId } from '../model/run.ts';

export interface AppendEntry {
  readonly event: TidegateEvent;
  readonly status: JournalledStatus;
  readonly reason?: string;
  readonly deliveries: readonly RoutedDelivery[];
  /** The flows that could not decide. @default none */
  readonly held?: readonly HeldDelivery[];
  /** What the event came in; events of one delivery have the same object. @default it is not kept */
  readonly raw?: RawDelivery;
}

/** A verified webhook delivery, as far as its verification needs it. */
export interface RawDelivery {
  /** The name of the source. */
  readonly source: string;
  readonly receivedAt: Date;
  readonly method: string;
  /** The address as its sender has called it; absent where the scheme does not sign it. */
  readonly url?: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** Byte for byte. */
  readonly body: Uint8Array;
}

/** A flow that could not decide about an event, because its `where`, `key` or a `by` failed. */
export interface HeldDelivery {
  readonly flow: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface DeliveryTarget {
  readonly flow: string;
  readonly key: string;
  readonly run: RunId;
}

export interface RoutedDelivery extends DeliveryTarget {
  /** What the run waits for, when this delivery opens it; absent when nothing delays its flow. */
  readonly limitKeys?: LimitKeys;
  /** Of an event that a flow made: the fuse that it counts towards. */
  readonly fuse?: Fuse;
}

/** Which runs share a limit with a run: those of its flow and tenant with the same key. */
export interface LimitKeys {
  /** Absent when the flow has no `throttle`. */
  readonly throttle?: string;
  /** Absent when the flow has no `concurrency`. */
  readonly concurrency?: string;
}

/** The limit key when all runs of a flow in a tenant share one limit. */
export const ALL_RUNS = '*';

export interface NumberedDelivery extends DeliveryTarget {
  readonly number: number;
  /** Whether its run waits for a slot or for a person; absent when it may be sent. */
  readonly waits?: true;
}

export interface AppendResult {
  /** `duplicate` when the identity was there before; the first event's counter has been raised. */
  readonly status: JournalledStatus | 'duplicate';
  readonly reason?: string;
  /** The first event's, for a duplicate. */
  readonly correlationId: string;
  readonly deliveries: readonly NumberedDelivery[];
  /** Absent when every flow could decide, and for a duplicate. */
  readonly held?: readonly HeldDelivery[];
}

/** An event that could not be taken: kept as a dead letter, by its identity where it has one. */
export interface Rejection {
  readonly tenant: string;
  readonly source: string;
  /** The sender's id, or a hash of what came. */
  readonly id: string;
  readonly type?: string;
  readonly code: string;
  readonly message: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** What came, as JSON text, without headers; at most LIMITS.eventBytesMax. */
  readonly body: string;
  /** Made by code of this project, a flow or a source's mapping, and not by a sender. */
  readonly isOurs?: true;
}

export interface PendingRun {
  readonly run: RunId;
  readonly flow: string;
  readonly tenant: string;
  readonly key: string;
  readonly acceptedThrough: number;
  readonly sentThrough: number;
  readonly settledThrough: number;
  /** The Temporal namespace that its workflow is in, or was last; absent where none is named. */
  readonly namespace?: string;
}

/** How far a run has been sent. */
export interface SentMark {
  readonly run: RunId;
  readonly through: number;
  /** Which of its executions has it. Noted of the first, which does not tell the journal that it begins. */
  readonly execution?: string;
}

/** Where the workflow of a run is. */
export interface RunPlace {
  readonly taskQueue: string;
  /** Absent: the namespace that the process is configured for. */
  readonly namespace?: string;
}
