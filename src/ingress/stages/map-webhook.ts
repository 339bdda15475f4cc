import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { zodProblems } from '../../contracts/problems.ts';
import { messageOf, TidegateError } from '../../model/error.ts';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { utf8Bytes } from '../../model/run.ts';
import type { Candidate, Intake, Refusal } from '../exchange.ts';
import { parseJson, parseJsonText } from '../json.ts';
import type { MediaKind } from '../media-type.ts';
import { sha256 } from '../refusal.ts';
import type { BoundSource, Mapped, SourceEvent } from '../source.ts';

export const webhookKinds = (source: BoundSource): readonly MediaKind[] =>
  source.formField === undefined ? ['json'] : ['json', 'form'];
export const WEBHOOK_ADVICE = 'This source takes application/json in UTF-8.';

export interface WebhookDelivery {
  readonly source: BoundSource;
  readonly headers: IncomingHttpHeaders;
  readonly kind: MediaKind;
  /** Verified already. */
  readonly body: Uint8Array;
}

/**
 * The events of a verified delivery. A delivery that cannot be mapped is kept as a dead letter.
 *
 * @throws TidegateError `malformed_json`.
 */
export function mapWebhook(delivery: WebhookDelivery): Intake {
  const { source, headers, body } = delivery;
  const text = jsonTextOf(delivery);
  const payload = text === undefined ? parseJson(body) : parseJsonText(text);
  const bodyHash = sha256(body);
  let mapped: Mapped;
  try {
    mapped = source.toEvents({ payload, headers, bodyHash });
  } catch (error) {
    const json = text ?? Buffer.from(body).toString('utf8');
    return several([mappingFailed(source, bodyHash, json, error)]);
  }
  if ('ignored' in mapped) {
    return several([{ kind: 'ignored', id: bodyHash, reason: mapped.ignored }]);
  }
  const isOne = mapped.length === 1;
  return several(
    mapped.map((event, index) =>
      toCandidate(event, {
        source: source.name,
        id: isOne ? bodyHash : `${bodyHash}.${index}`,
        requestBytes: body.length,
        traceparent: headers.traceparent,
      }),
    ),
  );
}

const several = (candidates: Intake['candidates']): Intake => ({
  answersFor: 'several events',
  candidates,
});

function jsonTextOf({ source, kind, body }: WebhookDelivery): string | undefined {
  if (kind !== 'form' || source.formField === undefined) return undefined;
  const field = new URLSearchParams(Buffer.from(body).toString('utf8')).get(source.formField);
  if (field !== null) return field;
  throw new TidegateError('malformed_json', `The form has no field ${source.formField}.`);
}

function toCandidate(
  { data, ...event }: SourceEvent,
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
  };
}

/** A mapping in JavaScript can leave `undefined` or a date in its data; what is stored is JSON. */
const asJson = (data: Json): Json => JSON.parse(JSON.stringify(data ?? null)) as Json;

function mappingFailed(
  source: BoundSource,
  bodyHash: string,
  json: string,
  error: unknown,
): Refusal {
  const errors = error instanceof z.core.$ZodError ? zodProblems(error.issues) : undefined;
  return {
    kind: 'refused',
    code: 'source_mapping_failed',
    correlationId: bodyHash,
    rejection: {
      tenant: 'default',
      source: source.name,
      id: bodyHash,
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
