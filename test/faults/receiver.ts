import { createServer, type IncomingMessage } from 'node:http';
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
  /** What is asked is done, and the connection breaks instead of an answer. @default false */
  readonly isLost?: boolean;
}

export interface Receiver {
  readonly url: string;
  /** Effects by idempotency key, in the order of the first calls: as a system that honours the key would have done them. */
  effects(): ReadonlyMap<string, Effect>;
  /** Keys that came with another body or path than the first time. */
  conflicts(): readonly string[];
  /** The orders that effects of this path name, in the order of the first calls. */
  ordersOf(path: string): readonly string[];
  stop(): Promise<void>;
}

/** An outside system that counts by idempotency key. */
export async function startReceiver(
  answerTo: (call: { readonly path: string; readonly body: unknown }) => Answer = () => ({}),
): Promise<Receiver> {
  const effects = new Map<string, Effect>();
  const conflicts: string[] = [];
  const server = createServer(async (request, response) => {
    const text = await bodyOf(request);
    // Its caller died before it had said what is to be done.
    if (text === undefined) return;
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
    const { status = 200, after, isLost = false } = answerTo({ path, body });
    if (status === 200) {
      effects.set(key, { path, body: known?.body ?? body, calls: (known?.calls ?? 0) + 1 });
    }
    await after;
    if (isLost) {
      request.socket.destroy();
      return;
    }
    response.statusCode = status;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    effects: () => effects,
    conflicts: () => conflicts,
    ordersOf: (path) =>
      [...effects.values()].filter((effect) => effect.path === path).flatMap(ordersIn),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  let text = '';
  try {
    for await (const chunk of request) text += chunk;
    return text;
  } catch {
    return undefined;
  }
}

/** Effects of the fixtures name one order, or several. */
export function ordersIn({ body }: Effect): readonly string[] {
  const { order, orders = [] } = body as { readonly order?: string; readonly orders?: string[] };
  return order === undefined ? orders : [order];
}
