/**
 * A payload whose large events have a reference in the place of their data: CloudEvents' `dataref`, for
 * people, and in the payload's metadata what was taken out and where. Only the metadata is believed: what
 * an event says of itself was written by whoever sent it.
 *
 * https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/dataref.md
 */
import { createHash } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { PACKED_PREFIX } from '../model/delivery-batch.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

const METADATA = 'tidegate-dataref';
const PACKED = Buffer.from(PACKED_PREFIX);

/** Data that was taken out of a payload. */
export interface DataReference {
  /** The names and indexes that lead to its event. */
  readonly at: readonly string[];
  readonly source: string;
  readonly id: string;
  /** SHA-256 of the data as JSON, in base64. */
  readonly sha256: string;
}

/** The metadata of a payload with references: all of one tenant. */
export interface References {
  readonly tenant: string;
  readonly events: readonly DataReference[];
}

/** An event with large data in a payload. */
export interface LargeEvent {
  readonly reference: DataReference;
  /** Puts the reference into the place of its data. */
  replace(): void;
}

/** The JSON of a payload, to be changed in place. */
export interface OpenPayload {
  /** Events of a tenant whose data has more than LIMITS.inlineDataBytesMax, none of them inside another. */
  largeEvents(tenant: string): readonly LargeEvent[];
  close(references: References): Payload;
}

/** Opens a payload that is large enough to have something to take out. */
export function openPayload(payload: Payload): OpenPayload | undefined {
  const { metadata, data } = payload;
  if (data == null || data.length <= LIMITS.inlineDataBytesMax) return undefined;
  if (metadata?.[METADATA] !== undefined || !isJson(payload)) return undefined;
  // Nothing in it is large, by how it is made; to look would cost as much as to make it.
  if (PACKED.equals(data.subarray(0, PACKED.length))) return undefined;
  const top = { payload: parse(data) };
  return {
    largeEvents: (tenant) => largeEventsIn({ holder: top, name: 'payload' }, tenant),
    close: (references) => ({
      metadata: { ...metadata, [METADATA]: jsonBytes(references) },
      data: jsonBytes(top.payload),
    }),
  };
}

/**
 * What was taken out of a payload; undefined when nothing was.
 * @throws TidegateError `payload_corrupt`
 */
export function referencesOf({ metadata }: Payload): References | undefined {
  const json = metadata?.[METADATA];
  if (json == null) return undefined;
  const references = parsed(json);
  if (isReferences(references)) return references;
  throw corrupt();
}

const isReferences = (value: unknown): value is References =>
  isRecord(value) &&
  isText(value.tenant) &&
  Array.isArray(value.events) &&
  value.events.every(
    (event) =>
      isRecord(event) &&
      [event.source, event.id, event.sha256].every(isText) &&
      Array.isArray(event.at) &&
      event.at.every(isText),
  );

const isText = (value: unknown): value is string => typeof value === 'string';

/** What goes into the place of a reference; of what was erased nothing, and the reference stays. */
export interface Restored {
  readonly reference: DataReference;
  readonly data: { readonly json: Buffer } | 'erased';
}

/**
 * The payload with all data put back where it was taken out.
 * @throws TidegateError `payload_corrupt`
 */
export function restorePayload(payload: Payload, restored: readonly Restored[]): Payload {
  const top = { payload: parsed(payload.data ?? new Uint8Array()) };
  for (const { reference, data } of restored) {
    const { holder, name } = slotAt(top, reference.at);
    const event = holder[name];
    if (!isRecord(event)) throw corrupt();
    holder[name] = exchange(event, 'dataref', (uri) =>
      data === 'erased'
        ? [
            ['data', null],
            ['dataref', uri],
          ]
        : [['data', parse(data.json)]],
    );
  }
  const { [METADATA]: _taken, ...metadata } = payload.metadata ?? {};
  return { metadata, data: jsonBytes(top.payload) };
}

/** A value in the place where it can be changed. */
interface Slot {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly parent?: Slot;
}

function largeEventsIn(top: Slot, tenant: string): readonly LargeEvent[] {
  const found: LargeEvent[] = [];
  const open: Slot[] = [top];
  // Without recursion: what flows make may be nested deeper than the stack.
  for (let slot = open.pop(); slot !== undefined; slot = open.pop()) {
    const value = slot.holder[slot.name];
    if (typeof value !== 'object' || value === null) continue;
    if (isEvent(value)) {
      const large = value.tenantid === tenant ? largeEvent(slot, value) : undefined;
      if (large !== undefined) found.push(large);
      // Its data is data, whatever it looks like.
      continue;
    }
    const holder = value as Record<string, unknown>;
    for (const name of Object.keys(holder)) open.push({ holder, name, parent: slot });
  }
  return found;
}

interface EventLike extends Record<string, unknown> {
  readonly tenantid: string;
  readonly source: string;
  readonly id: string;
}

const isEvent = (value: object): value is EventLike =>
  isRecord(value) &&
  value.specversion === '1.0' &&
  typeof value.tenantid === 'string' &&
  typeof value.source === 'string' &&
  typeof value.id === 'string' &&
  Object.hasOwn(value, 'data') &&
  !Object.hasOwn(value, 'dataref');

function largeEvent(slot: Slot, event: EventLike): LargeEvent | undefined {
  const json = dataJson(event.data);
  if (json.length <= LIMITS.inlineDataBytesMax) return undefined;
  const { tenantid, source, id } = event;
  return {
    reference: { at: pathOf(slot), source, id, sha256: sha256(json) },
    replace: () => {
      const reference = `/api/v1/events/${uriPart(id)}?tenant=${uriPart(tenantid)}&source=${uriPart(source)}`;
      slot.holder[slot.name] = exchange(event, 'data', () => [['dataref', reference]]);
    },
  };
}

// Half a surrogate pair has no place in a URI.
const uriPart = (text: string): string => encodeURIComponent(text.toWellFormed());

function pathOf(slot: Slot): readonly string[] {
  const names: string[] = [];
  for (let at: Slot | undefined = slot; at?.parent !== undefined; at = at.parent)
    names.push(at.name);
  return names.reverse();
}

function slotAt(top: Record<string, unknown>, path: readonly string[]): Slot {
  let slot: Slot = { holder: top, name: 'payload' };
  for (const name of path) {
    const value = slot.holder[slot.name];
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) throw corrupt();
    slot = { holder: value as Record<string, unknown>, name };
  }
  return slot;
}

/** An object with other entries in the place of one: the order of the rest stays. */
function exchange(
  object: Readonly<Record<string, unknown>>,
  name: string,
  by: (value: unknown) => readonly (readonly [string, unknown])[],
): Record<string, unknown> {
  if (!Object.hasOwn(object, name)) throw corrupt();
  return Object.fromEntries(
    Object.entries(object).flatMap((entry) => (entry[0] === name ? by(entry[1]) : [entry])),
  );
}

/** Data as the journal keeps it: what this gives for what it is parsed to is the same again. */
export const dataJson = (data: unknown): Buffer => Buffer.from(JSON.stringify(data) ?? 'null');

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('base64');

const isJson = ({ metadata }: Payload): boolean =>
  metadata?.encoding !== undefined && Buffer.from(metadata.encoding).toString() === 'json/plain';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const parse = (bytes: Uint8Array): unknown =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());

/** Of what somebody may have changed. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return parse(bytes);
  } catch {
    throw corrupt();
  }
}

const jsonBytes = (value: unknown): Uint8Array =>
  new Uint8Array(Buffer.from(JSON.stringify(value)));

const corrupt = (): TidegateError =>
  new TidegateError(
    'payload_corrupt',
    'A payload does not fit what it says of the event data that was taken out of it: it was changed. Restore it from a backup.',
  );
