import type { Json } from '../../model/event.ts';
import { operationError } from '../operation-error.ts';
import { urlBelow } from '../request-path.ts';

export const HTTP_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

export interface HttpGetInput {
  /** Below the base URL, with its query; encode what you put in it. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}
export interface HttpPostInput extends HttpGetInput {
  readonly json?: Json;
}
export interface HttpRequestInput extends HttpPostInput {
  readonly method: HttpMethod;
}
export interface HttpResult {
  readonly status: number;
  /** Parsed, where the answer says that it is JSON; else its text; null when it is empty. */
  readonly body: Json;
}

/** Set by the connector, or by HTTP itself: a flow's input does not choose credentials or framing. */
const OWN_HEADERS =
  /^(authorization|proxy-.*|cookie|host|idempotency-key|content-length|content-type|transfer-encoding|connection|upgrade|te|trailer|expect|keep-alive)$/i;

/**
 * Refuses what could not or must not be sent. Inputs come from flows, which are checked at compile
 * time but made at run time; the fake and the real connector refuse the same.
 */
export function checkRequest(
  { method, path, headers = {} }: HttpRequestInput,
  baseUrl: string,
): void {
  if (!HTTP_METHODS.includes(method)) {
    throw operationError('fatal', `the method must be one of ${HTTP_METHODS.join(', ')}`);
  }
  urlBelow(baseUrl, path);
  const own = Object.keys(headers).find((name) => OWN_HEADERS.test(name));
  if (own !== undefined) {
    throw operationError('fatal', `the header ${own} is the connector's to set; nothing was sent`);
  }
}
