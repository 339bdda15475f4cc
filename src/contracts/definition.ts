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
}

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
