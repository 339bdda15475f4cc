import type { ConnectorRequestInit, OperationContext } from '../model/connector.ts';
import { type Fetch, sendRequest } from './http-request.ts';
import { operationError } from './operation-error.ts';
import { urlBelow } from './request-path.ts';

/** `call.fetch` of one attempt (see OperationContext). */
export function callFetch(options: {
  readonly fetch: Fetch;
  readonly connector: string;
  readonly config: unknown;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  readonly secrets: readonly string[];
}): OperationContext<unknown>['fetch'] {
  return async (path, init = {}) => {
    const { baseUrl, token } = options.config as {
      readonly baseUrl?: unknown;
      readonly token?: unknown;
    };
    if (typeof baseUrl !== 'string') {
      throw operationError(
        'fatal',
        `call.fetch needs baseUrl in the configuration of connector ${options.connector}`,
      );
    }
    const method = init.method ?? 'GET';
    const headers = requestHeaders(init, {
      accept: 'application/json',
      'user-agent': 'tidegate',
      ...(typeof token === 'string' && token !== '' ? { authorization: `Bearer ${token}` } : {}),
      ...(method === 'GET' ? {} : { 'idempotency-key': options.idempotencyKey }),
      ...(init.json === undefined ? {} : { 'content-type': 'application/json' }),
    });
    return sendRequest(options.fetch, {
      url: urlBelow(baseUrl, path),
      method,
      headers,
      signal: options.signal,
      secrets: options.secrets,
      ...(init.json === undefined ? {} : { body: JSON.stringify(init.json) }),
    });
  };
}

/** Headers in order of their say. The errors of `Headers` repeat the value, which may be the token. */
function requestHeaders(
  { headers: own = {} }: ConnectorRequestInit,
  standard: Readonly<Record<string, string>>,
): Headers {
  const headers = new Headers();
  for (const [name, value] of [...Object.entries(standard), ...Object.entries(own)]) {
    try {
      headers.set(name, value);
    } catch {
      const shown = /^[\w-]{1,64}$/.test(name) ? name : 'with an invalid name';
      throw operationError(
        'fatal',
        `the header ${shown} has a character that no header can carry; nothing was sent`,
      );
    }
  }
  return headers;
}
