import type { EventStatus, TidegateEvent } from '../model/event.ts';
import type {
  AppendResult,
  DeliveryTarget,
  HeldDelivery,
  LimitKeys,
  Rejection,
  RoutedDelivery,
} from './deliveries.ts';

/** What becomes of a refused event that goes through the ingress again. */
export interface TakenAgain {
  readonly status: EventStatus;
  readonly reason?: string;
  readonly deliveries: readonly DeliveryTarget[];
  readonly held?: readonly Pick<NonNullable<AppendResult['held']>[number], 'flow' | 'code'>[];
}

/**
 * What the stages of the ingress say, with the contracts and flows of now, about events that came
 * before. The ingress makes it; the operator API only asks.
 */
export interface Again {
  /** What a flow says of an event; a flow that is gone holds it. */
  ask(flow: string, event: TidegateEvent): RoutedDelivery | 'filtered' | HeldDelivery;
  /**
   * The run of a flow that an event belongs to, whatever its `where` and the loop guard say.
   *
   * @throws TidegateError `unknown_flow` · `filter_failed` · `invalid_key`
   */
  target(flow: string, event: TidegateEvent): RoutedDelivery;
  /**
   * What a run of the flow waits for that this event opens; undefined when nothing delays the flow.
   *
   * @throws TidegateError `unknown_flow` · `filter_failed`
   */
  limitKeys(flow: string, event: TidegateEvent): LimitKeys | undefined;
  /**
   * Sends a refused event through all stages, under the same identity.
   *
   * @throws TidegateError `not_retriable` when what was kept of it is not an event.
   */
  take(rejection: Rejection): Promise<TakenAgain>;
}
