/** The outside system that flows call: it notes when each order's effect came, and how often. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { patiently } from './processes.ts';

export interface Effect {
  /** On the clock of `performance.now`, of the first call. */
  readonly at: number;
  /** A system that honours the key does the same key once. */
  readonly keys: ReadonlySet<string>;
}

export interface Receiver {
  readonly url: string;
  /** By order. */
  readonly effects: ReadonlyMap<string, Effect>;
  /** Waits for the effects of these orders. @throws when one is missing, or was had twice */
  eachOnce(orders: Iterable<string>): Promise<void>;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const effects = new Map<string, { readonly at: number; readonly keys: Set<string> }>();
  const server = createServer(async (request, response) => {
    const at = performance.now();
    let text = '';
    for await (const chunk of request) text += chunk;
    const { order } = JSON.parse(text) as { readonly order: string };
    const effect = effects.get(order) ?? { at, keys: new Set() };
    effect.keys.add(String(request.headers['idempotency-key']));
    effects.set(order, effect);
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects,
    async eachOnce(orders) {
      const expected = [...orders];
      await patiently(
        `the effects of ${expected.length} orders`,
        async () => (expected.every((order) => effects.has(order)) ? true : undefined),
        { everyMs: 20 },
      );
      const twice = expected.find((order) => effects.get(order)?.keys.size !== 1);
      if (twice !== undefined) throw new Error(`order ${twice} had its effect twice`);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
