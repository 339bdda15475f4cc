/** Sends what is planned, and again until it has an answer that is final. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedRequest } from './plan.ts';

/** An answer of the ingress; none when the connection broke or nothing came in time. */
export interface Answer {
  readonly id: string;
  readonly httpStatus?: number;
  /** `status` of the one result of a 202. */
  readonly result?: string;
  /** `code` of a problem. */
  readonly code?: string;
  readonly hasRetryAfter?: boolean;
}

export interface Sending {
  /** Everything that was answered, in the order in which it came. */
  answers(): readonly Answer[];
  /** Resolves when every request has its final answer. */
  readonly done: Promise<void>;
}

const ANSWER_MS_MAX = 5_000;

/** Every request on its own: one that waits to be sent again is overtaken by the next. */
export function startSending(
  requests: readonly PlannedRequest[],
  { urls, signal }: { readonly urls: readonly string[]; readonly signal: AbortSignal },
): Sending {
  const answers: Answer[] = [];
  const deliver = async (request: PlannedRequest, place: number): Promise<void> => {
    await sleep(request.atMs, undefined, { signal });
    for (let attempt = 0; ; attempt += 1) {
      const url = urls[(place + attempt) % urls.length] ?? '';
      const answer = await send(url, request);
      answers.push(answer);
      if (isFinal(request, answer)) return;
      await sleep(Math.min(1_000, 50 * 2 ** attempt), undefined, { signal });
    }
  };
  return { answers: () => answers, done: Promise.all(requests.map(deliver)).then(() => {}) };
}

/** A sender repeats what was not taken. That an event is wrong it is told once, and believes it. */
const isFinal = ({ flaw }: PlannedRequest, { httpStatus }: Answer): boolean =>
  httpStatus === 202 || (flaw !== undefined && (httpStatus === 400 || httpStatus === 422));

async function send(url: string, request: PlannedRequest): Promise<Answer> {
  const { id } = request;
  try {
    const response = await fetch(`${url}/events/${typeOf(request)}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': id },
      body: bodyOf(request),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const body = (await response.json()) as {
      readonly code?: string;
      readonly results?: readonly { readonly status: string }[];
    };
    const result = body.results?.[0]?.status;
    return {
      id,
      httpStatus: response.status,
      hasRetryAfter: response.headers.has('retry-after'),
      ...(body.code === undefined ? {} : { code: body.code }),
      ...(result === undefined ? {} : { result }),
    };
  } catch {
    return { id };
  }
}

const typeOf = ({ flaw }: PlannedRequest): string =>
  flaw === 'unknown_type' ? 'order.forgotten' : 'order.placed';

function bodyOf({ id, customer, fate, flaw }: PlannedRequest): string {
  const text = JSON.stringify({
    order: id,
    customer: flaw === 'breaks_contract' ? 7 : customer,
    fate,
  });
  return flaw === 'no_json' ? text.slice(0, -1) : text;
}
