import { randomUUID } from 'node:crypto';
import type { Intake } from '../exchange.ts';
import { parseJson } from '../json.ts';
import type { MediaKind } from '../media-type.ts';
import { attributesOfHeaders, type DistinctHeaders, unquote } from './header-attributes.ts';

export const PLAIN_KINDS: readonly MediaKind[] = ['json'];
export const PLAIN_ADVICE =
  "Send the event's data with Content-Type: application/json, in UTF-8 (curl: -H 'content-type: application/json').";

/** What `POST /events/:type` has beside its body. */
export interface PlainRequest {
  readonly headers: DistinctHeaders;
  readonly type: string;
  /** From the query; an array when it is there twice, which the envelope refuses. */
  readonly source: unknown;
}

/**
 * The event of `POST /events/:type`: the body is its data. Its id is `Idempotency-Key`, else `ce-id`,
 * else random, so that a repeated request is a duplicate only when the sender names it. Its source is
 * `?source=`, else `ce-source`, else `http`. Other `ce-*` headers are attributes as in binary mode.
 */
export function decodePlain(request: PlainRequest, body: Uint8Array): Intake {
  const { attributes, problems } = attributesOfHeaders(request.headers);
  const key = request.headers['idempotency-key']?.join(', ');
  const candidate = {
    kind: 'candidate',
    attributes: {
      source: 'http',
      id: randomUUID(),
      ...attributes,
      ...(key === undefined ? {} : { id: unquote(key) }),
      ...(request.source === undefined ? {} : { source: request.source }),
      specversion: '1.0',
      type: request.type,
    },
    data: parseJson(body),
    requestBytes: body.length,
    problems,
  } as const;
  return { answersFor: 'one event', candidates: [candidate] };
}
