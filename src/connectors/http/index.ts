import { z } from 'zod';
import type { OperationContext } from '../../model/connector.ts';
import type { Json } from '../../model/event.ts';
import { defineConnector } from '../define-connector.ts';
import { fakeHttp } from './fake.ts';
import {
  checkRequest,
  type HttpGetInput,
  type HttpPostInput,
  type HttpRequestInput,
  type HttpResult,
} from './request.ts';

const config = z.object({
  /** Where all requests go: `TIDEGATE_HTTP_BASE_URL`. */
  baseUrl: z.url(),
  /** Sent as bearer: `TIDEGATE_HTTP_TOKEN` or `TIDEGATE_HTTP_TOKEN_FILE`. */
  token: z.string().optional(),
});
type HttpConfig = z.output<typeof config>;

/**
 * Requests to one HTTP service: for a receiver that needs no connector of its own.
 *
 * - `get({ path, headers? })`, `post({ path, json?, headers? })` and `request({ method, path, json?,
 *   headers? })` return `{ status, body }`. An answer that is not 2xx fails in its error class.
 * - Everything but a GET carries `Idempotency-Key`, the same for every attempt. The receiver is
 *   expected to know it again: a request that was lost half-way is repeated.
 * - Configuration: `TIDEGATE_HTTP_BASE_URL`, `TIDEGATE_HTTP_TOKEN` (optional).
 * - The fake answers 200 with no body, and keeps what would have been sent in the outbox.
 */
export const httpConnector = defineConnector({
  name: 'http',
  config,
  operations: {
    get: {
      effect: 'read',
      timeout: '30s',
      run: (input: HttpGetInput, call) => send({ ...input, method: 'GET' }, call),
    },
    post: {
      effect: 'write',
      timeout: '30s',
      run: (input: HttpPostInput, call) => send({ ...input, method: 'POST' }, call),
    },
    request: {
      effect: 'write',
      timeout: '30s',
      run: (input: HttpRequestInput, call) => send(input, call),
    },
  },
  fake: fakeHttp,
});

async function send(
  input: HttpRequestInput,
  call: OperationContext<HttpConfig>,
): Promise<HttpResult> {
  checkRequest(input, call.config.baseUrl);
  const { method, path, headers = {}, json } = input;
  const response = await call.fetch(path, {
    method,
    headers,
    ...(json === undefined ? {} : { json }),
  });
  return { status: response.status, body: await bodyOf(response) };
}

async function bodyOf(response: Response): Promise<Json> {
  const text = await response.text();
  if (text === '') return null;
  const type = response.headers.get('content-type') ?? '';
  if (!/^application\/([\w.-]+\+)?json\b/i.test(type)) return text;
  try {
    return JSON.parse(text) as Json;
  } catch {
    // The request succeeded: a wrong label is no reason to fail it.
    return text;
  }
}
