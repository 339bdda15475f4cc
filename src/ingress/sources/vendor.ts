/** What the ready-made sources share. */
import { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { defineSource, type MappedRecord, type Source, type SourceEvent } from '../source.ts';
import { eventTime } from './event-time.ts';

export interface VendorOptions {
  /**
   * The path `/hooks/<name>`, the `source` of its events, and the variable of its secret. For a second
   * account of the same vendor. @default the vendor's name
   */
  readonly name?: string;
  /**
   * What stands before the types of its events: with `zendesk`, `ticket.created` is
   * `zendesk.ticket.created`. Its contracts are then `prefixEvents('zendesk', zendeskEvents)`.
   * @default nothing
   */
  readonly prefix?: string;
}

/** A vendor's source under another name or with other event types. @throws TidegateError `source_invalid` */
export function vendorSource(
  source: Source,
  { name = source.name, prefix }: VendorOptions,
): Source {
  if (prefix === undefined) return defineSource({ ...source, name });
  return defineSource({
    ...source,
    name,
    toEvents(delivery) {
      const mapped = source.toEvents(delivery);
      return 'ignored' in mapped ? mapped : mapped.map((record) => prefixed(prefix, record));
    },
  });
}

const prefixed = (prefix: string, record: MappedRecord): MappedRecord =>
  'type' in record ? { ...record, type: `${prefix}.${record.type}` } : record;

type Schemas = Readonly<Record<string, z.ZodType>>;

/**
 * The contracts of a source with a `prefix`, so that two vendors' `ticket.created` are two types.
 *
 * @example
 * ```ts
 * export const sources = [zendeskSource({ prefix: 'zendesk' })];
 * export const events = defineEvents({ ...prefixEvents('zendesk', zendeskEvents) });
 * ```
 */
export const prefixEvents = <const Prefix extends string, const Events extends Schemas>(
  prefix: Prefix,
  events: Events,
): PrefixedEvents<Prefix, Events> =>
  // Object.fromEntries forgets which schema belongs to which name.
  Object.fromEntries(
    Object.entries(events).map(([type, schema]) => [`${prefix}.${type}`, schema]),
  ) as PrefixedEvents<Prefix, Events>;

export type PrefixedEvents<Prefix extends string, Events extends Schemas> = {
  readonly [Type in keyof Events & string as `${Prefix}.${Type}`]: Events[Type];
};

/** Makes events of a vendor, whose data the compiler holds against their contracts. */
export const factsOf =
  <Events extends Schemas>() =>
  <Type extends keyof Events & string>(
    type: Type,
    event: Omit<SourceEvent, 'type' | 'data'> & { readonly data: z.output<Events[Type]> },
  ): SourceEvent => ({ ...event, type, data: event.data as Json });

/**
 * An id in digits, exact: beyond 2^53 the ingress has kept it as text. A number in another notation is
 * refused, because it has been rounded.
 */
export const digits = z
  .union([z.int().nonnegative(), z.string().regex(/^\d{1,40}$/)])
  .transform(String);

/** An id that is part of identities and subjects. */
export const idText = z.string().regex(/^[\w:.@/-]{1,255}$/);

/** `time`, where a payload has one that can be read. */
export function when(...moments: readonly unknown[]): { readonly time?: string } {
  const time = moments.map(eventTime).find((each) => each !== undefined);
  return time === undefined ? {} : { time };
}

/** `actor`, where a payload has one that an event can have. */
export const by = (actor: string | null | undefined): { readonly actor?: string } =>
  idText.safeParse(actor).success ? { actor: actor as string } : {};

/** Without the parts that a payload has no value for. */
export const known = <Value>(value: Value | null | undefined): Value | undefined =>
  value ?? undefined;

/** Says of a kind of delivery that it is no event; it repeats a word, not whatever a sender wrote. */
export const notMapped = (vendor: string, kind: unknown): { readonly ignored: string } => ({
  ignored: `${vendor}: ${typeof kind === 'string' && /^[\w.:/-]{1,64}$/.test(kind) ? kind : 'this'} is not mapped to an event`,
});
