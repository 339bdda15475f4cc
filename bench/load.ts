import autocannon from 'autocannon';

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** The key of the nth event. */
  readonly key: (n: number) => string;
  /** Events sent before this one, so that ids do not repeat between loads. */
  readonly prefix: string;
}

export interface LoadResult {
  readonly acknowledgementsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly accepted: number;
  readonly failed: number;
}

/** Posts events as fast as they are acknowledged. */
export async function load({ url, connections, seconds, key, prefix }: Load): Promise<LoadResult> {
  let n = 0;
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        path: '/events/deal.stage_changed',
        setupRequest: (request) => {
          n += 1;
          return {
            ...request,
            headers: { 'content-type': 'application/json', 'idempotency-key': `${prefix}-${n}` },
            body: JSON.stringify({ dealId: key(n), stage: 'won', amount: n }),
          };
        },
      },
    ],
  });
  return {
    acknowledgementsPerSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    accepted: result['2xx'],
    failed: result.non2xx + result.errors,
  };
}
