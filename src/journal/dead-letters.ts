/** What waits for a person, and what a person can do about it. */
import type { TidegateEvent } from '../model/event.ts';
import type { Fuse, WhenUndeliverable } from '../model/flow-registry.ts';
import type { RunId } from '../model/run.ts';
import type {
  HeldDelivery,
  LimitKeys,
  NumberedDelivery,
  Rejection,
  RoutedDelivery,
} from './deliveries.ts';
import type { Closed, ParkRow, SettlementRow } from './rows.ts';

/** Anything that needs a person. */
export type DeadLetter = {
  /** What it is called for `retry` and `discard`: its kind and a number, such as `held-12`. */
  readonly deadLetter: string;
} & (
  | ({ readonly kind: 'rejected'; readonly receivedAt: string; readonly count: number } & Rejection)
  | ({
      readonly kind: 'parked';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
    } & ParkRow)
  | ({
      readonly kind: 'lost';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
    } & SettlementRow)
  | ({
      readonly kind: 'held';
      readonly tenant: string;
      readonly heldAt: string;
      readonly attempts: number;
      readonly event: Pick<TidegateEvent, 'id' | 'source' | 'type' | 'correlationid'>;
    } & HeldDelivery)
  | ({
      readonly kind: 'fused';
      readonly code: 'fuse_tripped';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
      readonly key: string;
    } & FuseTrip)
  | ({
      readonly kind: 'undeliverable';
      readonly code: 'delivery_refused';
      readonly run: RunId;
      readonly flow: string;
      readonly tenant: string;
      readonly key: string;
    } & RefusedDelivery)
);

/** A delivery that Temporal refused, however often it was sent. */
export interface RefusedDelivery {
  /** Of the delivery, in its run. */
  readonly number: number;
  readonly event: Pick<TidegateEvent, 'id' | 'source' | 'type' | 'correlationid'>;
  readonly setAsideAt: string;
  /** How often it was refused when it was sent alone. */
  readonly attempts: number;
  /** What Temporal says. */
  readonly reason: string;
  /** The rule of its flow: `hold`, later deliveries wait; `go-on`, they were sent without it. */
  readonly rule: WhenUndeliverable;
  /** Later deliveries that wait until a person has decided. */
  readonly held: number;
}

/** A run that flows have given too much: nothing of it is sent. */
export interface FuseTrip {
  readonly trippedAt: string;
  /** What flows had given it in the fuse's time. */
  readonly count: number;
  readonly fuse: Fuse;
  /** The event that was one too many, and how it came: `orderSync(7) → crmSync(7) → orderSync(7)`. */
  readonly eventId: string;
  readonly chain: string;
  /** Deliveries that wait until an operator resumes the run. */
  readonly held: number;
}

export interface DeadLetterName {
  readonly kind: DeadLetter['kind'];
  readonly number: number;
}

/** A dead letter with what a retry needs. */
export interface FoundDeadLetter {
  readonly letter: DeadLetter;
  /** Absent while it is open. */
  readonly closed?: Closed;
  /** The event that is held, or the first of the lost ones. */
  readonly event?: TidegateEvent;
}

/** Who acts and why: kept with what is done, and in the audit. */
export interface Act {
  readonly actor: string;
  readonly reason: string;
}

/** What a person does about dead letters and events. Each act and its audit entry are one transaction. */
export interface Redelivery {
  find(name: DeadLetterName): Promise<FoundDeadLetter | undefined>;
  /**
   * False when it is closed already. Not for a parked run, which needs a decision. A run that was held
   * before an undeliverable delivery goes on without it.
   */
  discard(name: DeadLetterName, act: Act): Promise<boolean>;
  /**
   * Ends the hold of a delivery: delivered to its run, filtered, or held for another reason.
   * Undefined when it is closed already; else the new delivery, where there is one.
   */
  decideHeld(
    number: number,
    verdict: RoutedDelivery | 'filtered' | HeldDelivery,
    act: Act,
  ): Promise<readonly NumberedDelivery[] | undefined>;
  /**
   * Gives the deliveries of a lost range new numbers in the same run. Undefined when that was done
   * before, so that it cannot happen twice.
   */
  redeliverLost(
    number: number,
    limitKeys: LimitKeys | undefined,
    act: Act,
  ): Promise<readonly NumberedDelivery[] | undefined>;
  /**
   * Sends an undeliverable delivery again: in its place where its run was held before it, else under a new
   * number of the run. Undefined when it is closed already.
   */
  retryUndeliverable(
    number: number,
    limitKeys: LimitKeys | undefined,
    act: Act,
  ): Promise<readonly NumberedDelivery[] | undefined>;
  /** Notes that a rejected event was taken on a person's retry, which has closed it. */
  noteRetried(number: number, actor: string): Promise<void>;
  /**
   * Delivers an event to flows that it was never delivered to; to the others it does nothing. Closes
   * what is held of it for them.
   */
  deliverEvent(
    event: Pick<TidegateEvent, 'tenantid' | 'source' | 'id'>,
    targets: readonly RoutedDelivery[],
    act: Act,
  ): Promise<readonly NumberedDelivery[]>;
}

export type DeadLetterCounts = Readonly<Record<DeadLetter['kind'], number>>;
