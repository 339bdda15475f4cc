/**
 * What the stages hand to each other: a request brings candidates, each candidate becomes a decision,
 * each decision a result of the answer.
 */
import type {
  AppendEntry,
  DeliveryTarget,
  NumberedDelivery,
  RawDelivery,
  Rejection,
} from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import type { ObjectChange } from '../model/change.ts';
import type { Contract, ContractProblem, EventCatalogue, OldSenders } from '../model/contract.ts';
import type { ErrorCode } from '../model/error.ts';
import type { EventStatus, Json, TidegateEvent } from '../model/event.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import type { IngressObserver } from './observer.ts';

/** What the stages of an event need to know. */
export interface IngressContext {
  readonly journal: Pick<
    Journal,
    'append' | 'reject' | 'findRun' | 'claimEchoes' | 'ancestorsOf' | 'tripFuses'
  >;
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly flows: FlowRegistry;
  readonly onAppended: (appended: readonly AppendedDelivery[]) => void;
  readonly now: () => Date;
  /** Told of events in an old version. @default nobody counts them */
  readonly oldSenders?: OldSenders;
  /** Told what became of each event. @default nobody counts them */
  readonly observer?: Pick<IngressObserver, 'decided'>;
}

/** A delivery that has just been committed, with its event: what a dispatcher can send at once. */
export interface AppendedDelivery {
  readonly target: NumberedDelivery;
  readonly event: TidegateEvent;
}

/** An event as its sender tells it; nothing of it has been checked. */
export interface Candidate {
  readonly kind: 'candidate';
  /** CloudEvents attributes by name; a value of any type, because a sender can write anything. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly data: Json;
  /** The size of the request that brought it: its data is not larger by much. */
  readonly requestBytes: number;
  /** Made by code of this project, a flow or a source's mapping, and not by a sender. */
  readonly isOurs?: true;
  /** What it tells of, as a source's mapping says: an echo of our own write is known by it. */
  readonly change?: ObjectChange;
  /** What was wrong with it before it had attributes. */
  readonly problems?: readonly ContractProblem[];
}

/** What a request brings. */
export interface Intake {
  /** Of one event the sender is told with a status what is wrong; of several, with results. */
  readonly answersFor: 'one event' | 'several events';
  readonly candidates: readonly (Candidate | Decision)[];
  /** The answer to events that are durable; 200 and 204 have no body. @default 202, with the results */
  readonly acknowledge?: 200 | 202 | 204;
  /** The request itself, where it is kept with its events. */
  readonly raw?: RawDelivery;
}

/** An event that no stage has decided about yet. */
export interface Passing {
  readonly kind: 'passing';
  readonly candidate: Candidate;
  readonly event: TidegateEvent;
}

/** What becomes of an event. */
export type Decision =
  | { readonly kind: 'journal'; readonly entry: AppendEntry }
  | Refusal
  /** A webhook that says nothing the source maps to an event: there is nothing to keep. */
  | { readonly kind: 'ignored'; readonly id: string; readonly reason: string };

export interface Refusal {
  readonly kind: 'refused';
  readonly code: ErrorCode;
  readonly rejection: Rejection;
  readonly correlationId: string;
}

/** One event's part of the answer (DESIGN §5). */
export interface EventResult {
  readonly id: string;
  readonly status: EventStatus;
  readonly reason?: string;
  readonly correlationId: string;
  readonly deliveries: readonly DeliveryResult[];
  /** The flows that could not decide: what is held for them is decided later. Absent when all could. */
  readonly held?: readonly { readonly flow: string; readonly code: ErrorCode }[];
  /** What its sender is to do before long, such as leaving a deprecated version. */
  readonly warning?: string;
  /** What is wrong with a rejected event, part by part. */
  readonly errors?: readonly ContractProblem[];
}

export interface DeliveryResult extends DeliveryTarget {
  /** With `Prefer: wait`: the outcome of the run for this event, `parked`, or `pending`. */
  readonly outcome?: string;
}
