/**
 * Every limit in one place. A limit has a name, a unit and an error code or a stated consequence.
 */
export const LIMITS = {
  /** A request body; `body_too_large`. */
  bodyBytesMax: 1_048_576,
  /** One event's data as JSON; `event_too_large`. Temporal warns at 512 KB and refuses 2 MB. */
  eventBytesMax: 262_144,
  /** Events in one batch request; `batch_too_large`. */
  batchEventsMax: 1_000,
  /** `id`, `source`, `type`, `subject` and each extension attribute; `invalid_event`. */
  attributeCharactersMax: 512,
  /** A tenant's id; `invalid_event`. */
  tenantCharactersMax: 64,
  /** A flow key in UTF-8; `invalid_key`. Temporal refuses workflow ids over 1,000 characters. */
  keyBytesMax: 512,
  /** Flows an event may pass through before it counts as a loop; `too_many_hops`. */
  hopsMax: 10,
  /** Events handed to a run in one call. */
  deliveriesPerCallMax: 500,
  /** Bytes of events handed to a run in one call; one larger event still goes alone. */
  deliveryBytesPerCallMax: 786_432,
  /** Temporal calls in flight from one dispatcher. */
  dispatchConcurrencyMax: 64,
  /** Events waiting in a dispatcher's memory; the rest waits in the journal. */
  dispatchQueueMax: 20_000,
  /** Signals a workflow takes before its run continues as new: Temporal goes deaf at 10,000. */
  signalsPerRunMax: 500,
  /** History events after which a run continues as new: Temporal suggests 4,096. */
  historyEventsMax: 3_000,
  /** Events a window hands to the flow; beyond, it counts them and says `truncated`. */
  windowEventsMax: 100,
  /** Bytes of events a window keeps; beyond, `truncated`. */
  windowBytesMax: 131_072,
  /** Event ids a window keeps; beyond, `truncated`. */
  windowEventIdsMax: 1_000,
  /** Events waiting in a run's inbox; a busy run is sent no more until it has settled some. */
  inboxEventsMax: 5_000,
  /** What an operation may return to a flow, as JSON; `operation_failed`. */
  resultBytesMax: 262_144,
  /** Rows a page of the operator API returns. */
  pageRowsMax: 500,
} as const;
