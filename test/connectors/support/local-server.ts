import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LocalServer {
  readonly url: string;
  close(): Promise<void>;
}

/** An HTTP server on a free port of 127.0.0.1. */
export async function startServer(listener: RequestListener): Promise<LocalServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the connection instead of answering: when the request is in, or half-way through the answer. */
  readonly cut?: 'before' | 'within';
  /** Never answers. */
  readonly silent?: boolean;
}

export interface Receiver extends LocalServer {
  readonly requests: readonly ReceivedRequest[];
  /** The URLs of requests that their sender gave up before they were answered. */
  readonly givenUp: readonly string[];
}

/** A server that keeps what it gets and answers as it is told. */
export async function startReceiver(
  answer: (request: ReceivedRequest, number: number) => Answer,
): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const givenUp: string[] = [];
  const server = await startServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    requests.push(request);
    const { status = 200, headers = {}, body = '', cut, silent } = answer(request, requests.length);
    if (silent) return void incoming.socket.once('close', () => givenUp.push(request.url));
    if (cut === 'before') return void incoming.socket.destroy();
    outgoing.writeHead(status, { ...headers, ...(cut ? { 'content-length': '1000' } : {}) });
    if (cut !== 'within') return void outgoing.end(body);
    outgoing.write('{"half":');
    setTimeout(() => incoming.socket.destroy(), 20);
  });
  return { ...server, requests, givenUp };
}
