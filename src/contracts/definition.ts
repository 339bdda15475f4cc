import type { z } from 'zod';
import type { Contract } from '../model/contract.ts';
import type { Json } from '../model/event.ts';

/** Data of an old version, as an upcast receives it. */
export type OldData = Readonly<Record<string, Json>>;

/** One event type with a version. */
export interface VersionedDefinition<Schema extends z.ZodType> {
  /** The current version: a whole number from 1. Raise it when an old sender's data no longer fits. */
  readonly version: number;
  /** What data of the current version looks like. It must not transform, and its data must be JSON. */
  readonly data: Schema;
  /** The entity that the event happened to, when the sender gave none. Pure. */
  readonly subject?: (data: z.output<Schema>) => string;
  /**
   * From each old version that senders may still use, the step to the next: `{ 1: fromOneToTwo }`.
   * Versions that are missing are refused. Pure. @default none: only the current version is taken
   */
  readonly upcast?: Readonly<Record<number, (old: OldData) => unknown>>;
  /**
   * What data of old versions looks like: `{ 1: z.object({ … }) }`. It is held against its own schema
   * before the upcasts, so that what goes wrong in them is known to be ours. Each needs an upcast.
   * @default none: what comes goes into the upcast, and only the result is checked
   */
  readonly versions?: Readonly<Record<number, z.ZodType>>;
  /**
   * The version of events whose sender names none with `schemaversion`: the one such senders were
   * written for. What flows emit and sources map is of the current one. @default the current version
   */
  readonly unversioned?: number;
  /** Versions that senders are to leave. @default none */
  readonly deprecated?: Readonly<Record<number, DeprecatedVersion>>;
  /** Data of the current version, for people to look at. It must satisfy the schema. */
  readonly example?: NoInfer<z.output<Schema>>;
}

/** When a version ends. Dates are ISO 8601; one without a time is midnight in UTC. */
export interface DeprecatedVersion {
  /** From when on it is deprecated. Its senders are told at once, also before that day. */
  readonly since: string;
  /** From when on it may be refused; not before `since`. */
  readonly sunset: string;
  /** Where a sender reads what to do: an absolute URL. */
  readonly link?: string;
  /** Whether it is refused after its sunset. @default false: it is still taken */
  readonly refuseAfterSunset?: boolean;
}

export const isSchema = (value: unknown): value is z.ZodType =>
  typeof value === 'object' && value !== null && '_zod' in value;

/** A bare schema is version 1. */
export type EventDefinition<Schema extends z.ZodType> = Schema | VersionedDefinition<Schema>;

export type EventDefinitions<Schemas extends Readonly<Record<string, z.ZodType>>> = {
  readonly [Type in keyof Schemas]: EventDefinition<Schemas[Type]>;
};

/** The contracts that a set of definitions makes, by event type. */
export type ContractsOf<Schemas extends Readonly<Record<string, z.ZodType>>> = {
  readonly [Type in keyof Schemas & string]: Contract<z.output<Schemas[Type]>>;
};

/**
 * What the compiler says of a schema that changes its data: data is stored as JSON and typed again on
 * the other side, so that what a schema takes and what it gives must be the same JSON.
 */
export type SchemaRule<Schema extends z.ZodType> =
  Same<z.input<Schema>, z.output<Schema>> extends true
    ? [z.output<Schema>] extends [AsJson<z.output<Schema>>]
      ? unknown
      : 'schema must be JSON: no Date, Map, Set, bigint or function'
    : 'schema must not transform: put the mapping in the source';

export type DefinitionRules<Schemas extends Readonly<Record<string, z.ZodType>>> = {
  readonly [Type in keyof Schemas]: SchemaRule<Schemas[Type]>;
};

type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : false) : false;

type NotJson =
  | Date
  | bigint
  | symbol
  | Promise<unknown>
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | ((...input: never[]) => unknown);

type AsJson<Data> = [Data] extends [Json]
  ? Data
  : Data extends NotJson
    ? never
    : Data extends object
      ? { readonly [Key in keyof Data]: AsJson<Data[Key]> }
      : Data;
