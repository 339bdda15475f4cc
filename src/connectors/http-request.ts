import { LIMITS } from '../model/limits.ts';
import { classifyError, classifyStatus, networkCodeOf } from './error-class.ts';
import { operationError, problemOf } from './operation-error.ts';
import { excerpt } from './redact.ts';

/** A request, checked and complete. */
export interface OutgoingRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** What errors never repeat. */
  readonly secrets: readonly string[];
}

export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/**
 * Sends a request and reads its answer whole, within a bound. Redirects are not followed: the
 * credentials would go where nobody configured them to go.
 *
 * @throws TidegateError `operation_failed` in its error class, for an answer that is not 2xx, one that
 * is too long, and for no answer. When the signal was aborted: the signal's reason.
 */
export async function sendRequest(fetch: Fetch, request: OutgoingRequest): Promise<Response> {
  const { url, method, headers, body, signal, secrets } = request;
  // The query is left out of messages: some systems want their key in it.
  const label = `${method} ${url.pathname.slice(0, 200)}`;
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual',
      signal,
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok) throw await answerError(response, { label, url, secrets });
    return await readWhole(response, label);
  } catch (error) {
    if (problemOf(error) !== undefined) throw error;
    signal.throwIfAborted();
    const problem = classifyError(error, Date.now());
    const name = networkCodeOf(error) ?? (error instanceof Error ? error.name : 'unknown error');
    throw operationError(problem.errorClass, `${label} at ${url.host} failed: ${name}`, problem);
  }
}

async function answerError(
  response: Response,
  about: { readonly label: string; readonly url: URL; readonly secrets: readonly string[] },
) {
  const { status, headers } = response;
  const problem = classifyStatus(status, {
    retryAfter: headers.get('retry-after'),
    nowMs: Date.now(),
  });
  const location = headers.get('location');
  if (status >= 300 && status < 400) {
    await response.body?.cancel();
    return operationError(
      problem.errorClass,
      `${about.label} answered ${status}, a redirect${elsewhere(location, about.url)}. Redirects are not followed: set the base URL to the final address.`,
      problem,
    );
  }
  const { text } = await readText(response, 8 * LIMITS.errorExcerptCharactersMax);
  const said = excerpt(text, about.secrets);
  return operationError(
    problem.errorClass,
    `${about.label} answered ${status}${said === '' ? '' : `: ${said}`}`,
    problem,
  );
}

function elsewhere(location: string | null, from: URL): string {
  if (location === null || !URL.canParse(location, from.href)) return '';
  const { origin } = new URL(location, from.href);
  return origin === from.origin ? ' within the same host' : ` to ${origin}`;
}

/** The same response with its body in memory, so that reading it later cannot fail or wait. */
async function readWhole(response: Response, label: string): Promise<Response> {
  const { bytes, complete } = await readBytes(response, LIMITS.responseBytesMax);
  if (!complete) {
    throw operationError(
      'fatal',
      `${label} answered more than ${LIMITS.responseBytesMax} bytes: ask for less at a time`,
      { status: response.status, mayHaveHappened: true },
    );
  }
  const headers = new Headers(response.headers);
  // They describe the body as it travelled.
  headers.delete('content-encoding');
  headers.delete('content-length');
  const { status, statusText } = response;
  const mayHaveBody = status !== 204 && status !== 205;
  return new Response(mayHaveBody ? bytes : null, { status, statusText, headers });
}

async function readText(response: Response, bytesMax: number) {
  const { bytes } = await readBytes(response, bytesMax);
  return { text: new TextDecoder().decode(bytes) };
}

async function readBytes(response: Response, bytesMax: number) {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > bytesMax) return { bytes: Buffer.concat(chunks, bytesMax), complete: false };
  }
  return { bytes: Buffer.concat(chunks), complete: true };
}
