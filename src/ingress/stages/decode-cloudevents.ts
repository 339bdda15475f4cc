/**
 * CloudEvents over HTTP: structured, batch and binary content mode.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
 */
import { TidegateError } from '../../model/error.ts';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import type { Candidate, Intake } from '../exchange.ts';
import { isRecord, parseJson } from '../json.ts';
import { isJsonType, type MediaKind } from '../media-type.ts';
import { essenceOf } from './attribute-rules.ts';
import { attributesOfHeaders, type DistinctHeaders, onlyOne } from './header-attributes.ts';

export const CLOUDEVENTS_KINDS: readonly MediaKind[] = ['structured', 'batch', 'json', 'none'];
export const CLOUDEVENTS_ADVICE =
  'Send application/cloudevents+json, application/cloudevents-batch+json, or application/json with ce-* headers, in UTF-8.';

/**
 * The events of a request.
 *
 * @throws TidegateError `malformed_json`, `batch_too_large`, `unsupported_media_type` for a body
 * without a content type, or `invalid_event` when it is no JSON object or array at all.
 */
export function decodeCloudEvents(
  headers: DistinctHeaders,
  kind: MediaKind,
  body: Uint8Array,
): Intake {
  switch (kind) {
    case 'structured':
      return { answersFor: 'one event', candidates: [structured(body, headers)] };
    case 'batch':
      return { answersFor: 'several events', candidates: batch(body, headers) };
    case 'json':
      return { answersFor: 'one event', candidates: [binary(parseJson(body), headers, body)] };
    case 'none':
    case 'form':
    case 'text':
      if (body.length > 0) {
        throw new TidegateError('unsupported_media_type', CLOUDEVENTS_ADVICE);
      }
      return { answersFor: 'one event', candidates: [binary(null, headers, body)] };
    default:
      return kind satisfies never;
  }
}

function structured(body: Uint8Array, headers: DistinctHeaders): Candidate {
  const value = parseJson(body);
  if (isRecord(value)) return fromObject(value, headers, body.length);
  throw new TidegateError('invalid_event', 'The body is not an event: it must be a JSON object.', {
    details: { errors: [{ path: '', message: 'must be a JSON object' }] },
  });
}

function batch(body: Uint8Array, headers: DistinctHeaders): readonly Candidate[] {
  const value = parseJson(body);
  if (!Array.isArray(value)) {
    throw new TidegateError(
      'invalid_event',
      'The body is not a batch: it must be a JSON array of events.',
      { details: { errors: [{ path: '', message: 'must be a JSON array' }] } },
    );
  }
  if (value.length > LIMITS.batchEventsMax) {
    throw new TidegateError(
      'batch_too_large',
      `The batch has ${value.length} events; send at most ${LIMITS.batchEventsMax} at a time.`,
    );
  }
  return value.map((item: Json) =>
    isRecord(item)
      ? fromObject(item, headers, body.length)
      : { kind: 'candidate', attributes: {}, data: item, requestBytes: body.length },
  );
}

function fromObject(
  object: Readonly<Record<string, Json>>,
  headers: DistinctHeaders,
  requestBytes: number,
): Candidate {
  const { data, data_base64: base64, ...attributes } = object;
  const traceparent = attributes.traceparent ?? onlyOne(headers.traceparent) ?? null;
  const candidate = {
    kind: 'candidate',
    attributes: { ...attributes, traceparent },
    data: data ?? null,
    requestBytes,
  } as const;
  const problem = (path: string, message: string): Candidate => ({
    ...candidate,
    problems: [{ path, message }],
  });
  const type = attributes.datacontenttype ?? 'application/json';
  const isJson = typeof type === 'string' && isJsonType(essenceOf(type));
  if (base64 === undefined || base64 === null) {
    return isJson || candidate.data === null || typeof data === 'string'
      ? candidate
      : problem('data', 'must be a string: datacontenttype says that it is not JSON');
  }
  if (data !== undefined) return problem('data_base64', 'must not be there beside data');
  if (!isJson) return problem('datacontenttype', 'must be JSON: Tidegate takes no other bytes');
  const decoded = fromBase64(base64);
  return decoded === undefined
    ? problem('data_base64', 'must be JSON in base64')
    : { ...candidate, data: decoded };
}

function fromBase64(text: Json): Json | undefined {
  // Buffer.from drops what is not base64 in silence.
  if (typeof text !== 'string' || text.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  try {
    return parseJson(Buffer.from(text, 'base64'));
  } catch {
    return undefined;
  }
}

function binary(data: Json, headers: DistinctHeaders, body: Uint8Array): Candidate {
  return { kind: 'candidate', data, requestBytes: body.length, ...attributesOfHeaders(headers) };
}
