import type { EventTypesOf } from '../../model/contract.ts';
import type { Emitted } from '../../model/protocol.ts';
import { type EmitOptions, emitEvent } from '../emission.ts';

/** Emits an event of a catalogue's data types. */
export type Emit<Types> = <Type extends keyof Types & string>(
  type: Type,
  data: Types[Type],
  options?: EmitOptions,
) => Promise<Emitted>;

/**
 * `emit()` for a project's catalogue of events: `emit(type, data, { subject? })` sends an event on
 * through the stages of the ingress, in the worker's process. It resolves when the event is in the
 * journal; it waits for no flow that takes it.
 *
 * The event belongs to the story of the event that opened the window: the same `correlationid`,
 * `causationid` its id, one hop more. A step like others: once per step, whatever is repeated.
 *
 * @throws ApplicationFailure with the `type` `fatal` when the event is rejected, such as one that
 * breaks its contract. It names the code and the failing paths.
 * @example
 * ```ts
 * import type { events } from '../events';
 * import { emitFor, flowsFor } from 'tidegate/flow';
 * const flow = flowsFor<typeof events>();
 * const emit = emitFor<typeof events>();
 * export const bill = flow({
 *   on: 'order.shipped',
 *   run: async ({ data }) => await emit('invoice.due', { orderId: data.orderId }),
 * });
 * ```
 */
export const emitFor =
  <Catalogue>(): Emit<EventTypesOf<Catalogue>> =>
  (type, data, options = {}) =>
    emitEvent({ type, data, ...options });
