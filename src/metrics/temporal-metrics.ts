/** What Temporal's SDK tells of a worker: tasks, pollers, slots, cache. Its core has an HTTP endpoint for it. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Registry } from 'prom-client';

/** What `/metrics` answers with. */
export type MetricsText = Pick<Registry, 'metrics' | 'contentType'>;

const READ_MS_MAX = 2_000;

/** Our series and, behind them, those of the SDK. Without its answer there are only ours. */
export const withTemporalMetrics = (registry: Registry, address: string): MetricsText => ({
  contentType: registry.contentType,
  async metrics() {
    const [own, theirs] = await Promise.all([
      registry.metrics(),
      fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(READ_MS_MAX) })
        .then((answer) => answer.text())
        .catch(() => ''),
    ]);
    return `${own}\n${theirs}`;
  },
});

/** An address for that endpoint, which nobody but this process has to know. */
export async function loopbackAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}
