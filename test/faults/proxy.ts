import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What happens to bytes between two processes: `fair` passes them on, `slow` holds each chunk back for
 * a time, `hung` passes nothing on until the weather changes, `refused` breaks every connection, and
 * `unanswered` passes on what is asked and no answer, until its connections break.
 */
export type Weather =
  | { readonly kind: 'fair' | 'hung' | 'refused' | 'unanswered' }
  | { readonly kind: 'slow'; readonly chunkMs: number };

/** A TCP proxy that can do to a connection what a network does. */
export interface TcpProxy {
  readonly port: number;
  change(weather: Weather): void;
  /** Breaks the connections that there are; new ones are as the weather is. */
  cut(): void;
  /** The ports from which it has connected to its target: so the target knows its connections. */
  localPorts(): readonly number[];
  stop(): Promise<void>;
}

export async function startProxy(target: { readonly port: number }): Promise<TcpProxy> {
  const pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  let weather: Weather = { kind: 'fair' };
  let changed = (): void => {};
  let change = new Promise<void>((resolve) => {
    changed = resolve;
  });

  /** One direction; a connection's end is passed on like its bytes. */
  async function pump(from: Socket, to: Socket, held: readonly Weather['kind'][]): Promise<void> {
    for await (const chunk of from) {
      if (weather.kind === 'slow') await sleep(weather.chunkMs);
      while (held.includes(weather.kind)) await change;
      if (!to.write(chunk)) await once(to, 'drain');
    }
    to.end();
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    near.on('error', () => {});
    if (weather.kind === 'refused') {
      near.resetAndDestroy();
      return;
    }
    const far = dial({ ...target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const pair = { near, far };
    const end = (): void => {
      near.destroy();
      far.destroy();
      pairs.delete(pair);
    };
    pairs.add(pair);
    far.on('error', end);
    near.on('error', end);
    const asked = pump(near, far, ['hung']);
    const answered = pump(far, near, ['hung', 'unanswered']);
    Promise.all([asked, answered]).then(end, end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const cut = (): void => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  };
  const changeTo = (next: Weather): void => {
    // Before what was held back goes on.
    if (next.kind === 'refused' || weather.kind === 'unanswered') cut();
    weather = next;
    changed();
    change = new Promise((resolve) => {
      changed = resolve;
    });
  };
  return {
    port: (server.address() as AddressInfo).port,
    change: changeTo,
    cut,
    localPorts: () => [...pairs].flatMap(({ far }) => far.localPort ?? []),
    async stop() {
      changeTo({ kind: 'refused' });
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
