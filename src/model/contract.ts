import type { ErrorCode } from './error.ts';
import type { Json } from './event.ts';

/** One problem in an event's data: where, in JSON path form such as `lines[0].sku`, and what. */
export interface ContractProblem {
  readonly path: string;
  readonly message: string;
}

export type ContractVerdict<Data> =
  | { readonly ok: true; readonly data: Data; readonly subject?: string }
  | {
      readonly ok: false;
      /** `upcast_failed` is ours to mend; the others are the sender's. */
      readonly code: Extract<ErrorCode, 'contract_violation' | 'unknown_version' | 'upcast_failed'>;
      readonly problems: readonly ContractProblem[];
    };

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** When senders are to have left a version. */
export interface VersionDeprecation {
  /** From when on it is deprecated, ISO 8601 in UTC. */
  readonly since: string;
  /** From when on it may be refused, ISO 8601 in UTC. */
  readonly sunset: string;
  /** Where a sender reads what to do. */
  readonly link?: string;
  /** Whether it is refused after its sunset. */
  readonly refuseAfterSunset: boolean;
}

/** A version of an event type that senders may use. */
export interface ContractVersion {
  readonly version: number;
  /** What its data looks like; undefined for an old version that has an upcast and no schema of its own. */
  readonly schema: JsonSchema | undefined;
  /** Paths of fields that are marked `pii`, such as `lines[].email`. */
  readonly pii: readonly string[];
  readonly deprecation?: VersionDeprecation;
}

/** What the engine knows of one event type; made by `defineEvents` (tidegate/contracts). */
export interface Contract<Data = unknown> {
  readonly type: string;
  /** The current version: what flows see. */
  readonly version: number;
  /** The version of data whose sender names none. */
  readonly unversioned: number;
  /** Every version that is taken, oldest first; the last is the current one. */
  readonly versions: readonly ContractVersion[];
  /** Data of the current version, for people to look at. */
  readonly example?: Json;
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

/** Who still sends an old version: how often since this process started, and when last. */
export interface OldSender {
  readonly source: string;
  readonly type: string;
  readonly version: number;
  readonly count: number;
  /** ISO 8601. */
  readonly lastAt: string;
}

/** Counts, in this process, events that came in an old version of their contract. */
export interface OldSenders {
  note(
    event: { readonly source: string; readonly type: string; readonly version: number },
    atMs: number,
  ): void;
  /** The most frequent first. */
  list(): readonly OldSender[];
  /** Events of senders beyond `LIMITS.oldSendersMax`, which are not told apart. */
  unlistedCount(): number;
}
