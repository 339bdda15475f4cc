/** JSON as it is after parsing: what event data and operation inputs are made of. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * An immutable business fact in a CloudEvents 1.0 envelope, with Tidegate's extension attributes.
 * Attribute names are lower case because the specification requires it:
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#attribute-naming-convention
 */
export interface TidegateEvent<Type extends string = string, Data = unknown> {
  readonly specversion: '1.0';
  /** Unique within `tenantid` and `source`; the identity that duplicates are recognised by. */
  readonly id: string;
  /** Where the event comes from, such as `crm` or `github`. */
  readonly source: string;
  readonly type: Type;
  /** When it happened, RFC 3339. */
  readonly time: string;
  /** The entity it happened to. */
  readonly subject?: string;
  readonly data: Data;
  readonly tenantid: string;
  /** The version of the contract that `data` satisfies. */
  readonly schemaversion: number;
  /** Shared by every event and run of one story; the first event's id when the sender gave none. */
  readonly correlationid: string;
  /** The event or run that caused this event. */
  readonly causationid?: string;
  readonly actor?: string;
  /** Who made it happen: `human`, `system` or `tidegate:<flow>`. */
  readonly origin: string;
  /** How many flows the story has passed through. */
  readonly hops: number;
  readonly traceparent?: string;
  /** The id of the replay that sent it again. */
  readonly replay?: string;
  /** The media type of `data`, where it is not `application/json`. */
  readonly datacontenttype?: string;
  /** The URI of a schema that the sender says `data` has; Tidegate does not fetch it. */
  readonly dataschema?: string;
  /** Attributes of the sender that Tidegate does not know, such as `tracestate`, as they came. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
}

/** One event handed to one run. Numbers of a run start at 1, rise by 1 and never repeat. */
export interface Delivery {
  readonly number: number;
  readonly event: TidegateEvent;
}

/** What became of an event at the door. */
export const EVENT_STATUSES = [
  'accepted',
  'duplicate',
  'filtered',
  'unrouted',
  'echo',
  'looped',
  'rejected',
] as const;
export type EventStatus = (typeof EVENT_STATUSES)[number];

/** A status that a journalled event can have: duplicates are counted on the first event, rejections kept apart. */
export type JournalledStatus = Exclude<EventStatus, 'duplicate' | 'rejected'>;
