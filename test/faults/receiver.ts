import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Effect {
  readonly path: string;
  readonly body: unknown;
  /** How often a call with this idempotency key has come. */
  readonly calls: number;
}

/** How the receiver answers a call; by default it does what is asked and says so at once. */
export interface Answer {
  /** Anything but 200: it is refused, and not done. @default 200 */
  readonly status?: number;
  /** Answers only then: what is asked is done before. */
  readonly after?: Promise<void>;
}

export interface Receiver {
  readonly url: string;
  /** Effects by idempotency key, in the order of the first calls: as a system that honours the key would have done them. */
  effects(): ReadonlyMap<string, Effect>;
  /** Keys that came with another body or path than the first time. */
  conflicts(): readonly string[];
  stop(): Promise<void>;
}

/** An outside system that counts by idempotency key. */
export async function startReceiver(
  answerTo: (call: { readonly path: string; readonly body: unknown }) => Answer = () => ({}),
): Promise<Receiver> {
  const effects = new Map<string, Effect>();
  const conflicts: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const key = String(request.headers['idempotency-key']);
    const path = request.url ?? '';
    const known = effects.get(key);
    const body: unknown = JSON.parse(text);
    if (
      known !== undefined &&
      JSON.stringify([known.path, known.body]) !== JSON.stringify([path, body])
    ) {
      conflicts.push(key);
    }
    const { status = 200, after } = answerTo({ path, body });
    if (status === 200) {
      effects.set(key, { path, body: known?.body ?? body, calls: (known?.calls ?? 0) + 1 });
    }
    await after;
    response.statusCode = status;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects: () => effects,
    conflicts: () => conflicts,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
