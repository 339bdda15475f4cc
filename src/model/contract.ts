import type { Json } from './event.ts';

/** One problem in an event's data: where, in JSON path form such as `lines[0].sku`, and what. */
export interface ContractProblem {
  readonly path: string;
  readonly message: string;
}

export type ContractVerdict<Data> =
  | { readonly ok: true; readonly data: Data; readonly subject?: string }
  | { readonly ok: false; readonly problems: readonly ContractProblem[] };

/** What the engine knows of one event type; made by `defineEvents` (tidegate/contracts). */
export interface Contract<Data = unknown> {
  readonly type: string;
  /** The current version: what flows see. */
  readonly version: number;
  /** Checks data of a version and brings it to the current one. */
  check(data: Json, version: number): ContractVerdict<Data>;
}

/** The event types of a project. Catalogues compose by intersection of their types. */
export interface EventCatalogue<Contracts extends Readonly<Record<string, Contract>>> {
  readonly contracts: Contracts;
}

/** From a catalogue, the data of each event type. */
export type EventTypesOf<Catalogue> = Catalogue extends { readonly contracts: infer Contracts }
  ? {
      readonly [Type in keyof Contracts & string]: Contracts[Type] extends Contract<infer Data>
        ? Data
        : never;
    }
  : never;
