/**
 * tidegate/contracts: what can happen. Safe in every process; never imported by value from a flow.
 */
import type { EventTypesOf } from '../model/contract.ts';
import type { TidegateEvent } from '../model/event.ts';

export type {
  Contract,
  ContractProblem,
  ContractVerdict,
  ContractVersion,
  EventCatalogue,
  EventTypesOf,
  JsonSchema,
  VersionDeprecation,
} from '../model/contract.ts';
export { defineEvents } from './define-events.ts';
export type {
  DeprecatedVersion,
  EventDefinition,
  OldData,
  VersionedDefinition,
} from './definition.ts';

/** An event of one type of a catalogue: `EventOf<typeof events, 'order.placed'>`. */
export type EventOf<Catalogue, Type extends keyof EventTypesOf<Catalogue> & string> = TidegateEvent<
  Type,
  EventTypesOf<Catalogue>[Type]
>;
