import type { EventStatus } from '../model/event.ts';
import type { Priority, ShedCause } from './shedding.ts';

/** Whose limit a request was over. */
export type LimitedBy = 'source' | 'tenant' | 'caller' | 'address';

/** Told of what the ingress does, for metrics. Nothing in it comes from a sender. */
export interface IngressObserver {
  /** The route's pattern, such as `/events/:type`; `aborted` when the sender went away before its answer. */
  answered(route: string, status: number | 'aborted', seconds: number): void;
  /** What became of an event; the type is one of the catalogue, or undefined. */
  decided(type: string | undefined, status: EventStatus): void;
  shed(priority: Priority, cause: ShedCause): void;
  limited(by: LimitedBy): void;
}
