import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { zodProblems } from '../../contracts/problems.ts';
import { changeProblem, type SaidChange } from '../../model/change.ts';
import { messageOf, TidegateError } from '../../model/error.ts';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { utf8Bytes } from '../../model/run.ts';
import type { Candidate, Intake, Refusal } from '../exchange.ts';
import { parseJson, parseJsonText } from '../json.ts';
import type { MediaKind } from '../media-type.ts';
import { sha256 } from '../refusal.ts';
import type { BoundSource, Mapped, SourceDelivery, SourceEvent } from '../source.ts';

export const webhookKinds = ({ bodies, formField }: BoundSource): readonly MediaKind[] =>
  bodies ?? (formField === undefined ? ['json'] : ['json', 'form']);
export const WEBHOOK_ADVICE = 'This source takes application/json in UTF-8.';

export interface WebhookDelivery {
  readonly source: BoundSource;
  readonly headers: IncomingHttpHeaders;
  readonly kind: MediaKind;
  /** Verified already. */
  readonly body: Uint8Array;
  /** What the scheme signs as the delivery's identity. */
  readonly signedId?: string;
}

/**
 * What a mapping or a handshake sees of a verified delivery.
 *
 * @throws TidegateError `malformed_json`.
 */
export function sourceDelivery(delivery: WebhookDelivery): SourceDelivery {
  const { headers, body, signedId } = delivery;
  return {
    payload: payloadOf(delivery),
    headers,
    bodyHash: sha256(body),
    ...(signedId === undefined ? {} : { signedId }),
  };
}

/** The events of a verified delivery. A delivery that cannot be mapped is kept as a dead letter. */
export function mapWebhook(delivery: SourceDelivery, webhook: WebhookDelivery): Intake {
  const { headers, payload } = delivery;
  const { source, body } = webhook;
  let identity = delivery.signedId ?? delivery.bodyHash;
  let mapped: Mapped;
  try {
    if (source.dedupe !== undefined) identity = source.dedupe(delivery);
    mapped = source.toEvents(delivery);
  } catch (error) {
    const json = jsonTextOf(webhook) ?? JSON.stringify(payload);
    return several([mappingFailed(source, identity, json, error)]);
  }
  if ('ignored' in mapped) {
    return several([{ kind: 'ignored', id: identity, reason: mapped.ignored }]);
  }
  const isOne = mapped.length === 1;
  return several(
    mapped.map((record, index) => {
      const id = isOne ? identity : `${identity}.${index}`;
      if ('ignored' in record) return { kind: 'ignored', id, reason: record.ignored };
      if ('failed' in record) {
        return mappingFailed(source, id, JSON.stringify(record.record), record.failed);
      }
      return toCandidate(record, {
        source: source.name,
        id,
        requestBytes: body.length,
        traceparent: headers.traceparent,
      });
    }),
  );
}

const several = (candidates: Intake['candidates']): Intake => ({
  answersFor: 'several events',
  candidates,
});

function payloadOf(webhook: WebhookDelivery): Json {
  if (webhook.kind !== 'form') return parseJson(webhook.body);
  const text = jsonTextOf(webhook);
  return text === undefined ? formFields(formOf(webhook.body)) : parseJsonText(text);
}

/** The text that a delivery has as JSON; undefined for a form whose fields are the payload. */
function jsonTextOf({ source, kind, body }: WebhookDelivery): string | undefined {
  if (kind !== 'form') return Buffer.from(body).toString('utf8');
  if (source.formField === undefined) return undefined;
  const field = formOf(body).get(source.formField);
  if (field !== null) return field;
  throw new TidegateError('malformed_json', `The form has no field ${source.formField}.`);
}

const formOf = (body: Uint8Array): URLSearchParams =>
  new URLSearchParams(Buffer.from(body).toString('utf8'));

function formFields(form: URLSearchParams): Json {
  return Object.fromEntries(
    [...new Set(form.keys())].map((name) => {
      const [value = '', ...others] = form.getAll(name);
      return [name, others.length === 0 ? value : [value, ...others]];
    }),
  );
}

function toCandidate(
  { data, change, ...event }: SourceEvent,
  defaults: {
    readonly source: string;
    readonly id: string;
    readonly requestBytes: number;
    readonly traceparent: unknown;
  },
): Candidate {
  const { source, id, requestBytes, traceparent } = defaults;
  return {
    kind: 'candidate',
    attributes: { id, ...event, source, traceparent, specversion: '1.0' },
    data: asJson(data),
    requestBytes,
    isOurs: true,
    ...(change === undefined ? {} : changeOf(change, source)),
  };
}

/** One that is none would let echoes through unseen: the event becomes a dead letter instead. */
function changeOf(change: SaidChange, source: string): Pick<Candidate, 'change' | 'problems'> {
  const problem = changeProblem(change);
  if (problem !== undefined) return { problems: [{ path: 'change', message: problem }] };
  const { system = source, object, fields } = change;
  return { change: { system, object, fields } };
}

/** A mapping in JavaScript can leave `undefined` or a date in its data; what is stored is JSON. */
const asJson = (data: Json): Json => JSON.parse(JSON.stringify(data ?? null)) as Json;

function mappingFailed(source: BoundSource, id: string, json: string, error: unknown): Refusal {
  const errors = error instanceof z.core.$ZodError ? zodProblems(error.issues) : undefined;
  return {
    kind: 'refused',
    code: 'source_mapping_failed',
    correlationId: id,
    rejection: {
      tenant: 'default',
      source: source.name,
      id,
      code: 'source_mapping_failed',
      message: `The mapping of source ${source.name} failed: ${errors === undefined ? messageOf(error) : 'the payload is not what it expects'}.`,
      ...(errors === undefined ? {} : { errors }),
      body: utf8Bytes(json) <= LIMITS.eventBytesMax ? json : excerptOf(json),
    },
  };
}

/** Still JSON: the beginning as a string, short enough for any escaping. */
const excerptOf = (json: string): string =>
  JSON.stringify({ truncated: true, beginning: json.slice(0, LIMITS.eventBytesMax / 8) });
