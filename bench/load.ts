import autocannon from 'autocannon';
import { SIGNATURE_HEADER, signatureOf, WEBHOOK_PATH } from './signed.ts';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** The key of the nth event. */
  readonly key: (n: number) => string;
  /** Events sent before this one, so that ids do not repeat between loads. */
  readonly prefix: string;
  /** As signed webhooks, instead of plain events. @default false */
  readonly signed?: boolean;
}

export interface LoadResult {
  readonly acknowledgementsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly sent: number;
  readonly accepted: number;
  readonly failed: number;
}

/** Posts events as fast as they are acknowledged. */
export async function load(options: Load): Promise<LoadResult> {
  const { url, connections, seconds, key, prefix, signed = false } = options;
  const request = signed ? signedRequest : plainRequest;
  let n = 0;
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        setupRequest: (defaults) => {
          n += 1;
          return { ...defaults, ...request(`${prefix}-${n}`, key(n), n) };
        },
      },
    ],
  });
  return {
    acknowledgementsPerSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    sent: n,
    accepted: result['2xx'],
    failed: result.non2xx + result.errors,
  };
}

const plainRequest = (id: string, dealId: string, n: number) => ({
  path: '/events/deal.stage_changed',
  headers: { 'content-type': 'application/json', 'idempotency-key': id },
  body: JSON.stringify({ dealId, stage: 'won', amount: n }),
});

/** A webhook of the source `bench`. */
export function signedRequest(id: string, dealId: string, n: number) {
  const body = JSON.stringify({ id, dealId, stage: 'won', amount: n });
  return {
    path: WEBHOOK_PATH,
    headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signatureOf(body) },
    body,
  };
}
