import type { IncomingHttpHeaders } from 'node:http';
import { TidegateError } from '../model/error.ts';

/** What a content type says the body is. */
export type MediaKind = 'structured' | 'batch' | 'json' | 'form' | 'text' | 'none';

/**
 * The kind of a request's body, when the route takes it.
 *
 * @throws TidegateError `unsupported_media_type` for another kind or a charset that is not UTF-8.
 */
export function mediaKind(
  headers: IncomingHttpHeaders,
  taken: readonly MediaKind[],
  advice: string,
): MediaKind {
  const [essence = '', ...parameters] = (headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const kind = kindOf(essence);
  if (kind === undefined || !taken.includes(kind) || !parameters.every(isNotForeignCharset)) {
    throw new TidegateError('unsupported_media_type', advice);
  }
  return kind;
}

function kindOf(essence: string): MediaKind | undefined {
  if (essence === '') return 'none';
  if (essence === 'application/cloudevents+json') return 'structured';
  if (essence === 'application/cloudevents-batch+json') return 'batch';
  if (essence === 'application/x-www-form-urlencoded') return 'form';
  if (essence === 'text/plain') return 'text';
  return isJsonType(essence) ? 'json' : undefined;
}

/** Whether a media type, without parameters, is JSON: `application/json`, `text/json` or `…+json`. */
export const isJsonType = (essence: string): boolean =>
  /^(?:(?:application|text)\/json|[\w.!#$&^-]+\/[\w.!#$&^+-]+\+json)$/.test(essence) &&
  !essence.startsWith('application/cloudevents');

const isNotForeignCharset = (parameter: string): boolean =>
  !parameter.startsWith('charset=') || /^charset="?(?:utf-8|us-ascii)"?$/.test(parameter);
