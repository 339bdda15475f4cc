/**
 * A small CRM, for this example: contacts over HTTP, and a signed webhook for every write, whoever made
 * it. Webhooks of one contact are sent in order, and again until they are taken.
 */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export type Fields = Readonly<Record<string, string>>;

export interface Crm {
  readonly url: string;
  readonly contacts: ReadonlyMap<string, Fields>;
  /** Writes that came over the API, each once. */
  readonly apiWrites: number;
  /** Webhooks that have not been taken yet. */
  readonly waiting: number;
  /** A person changes a contact. */
  edit(contact: string, fields: Fields, by: string): void;
  stop(): Promise<void>;
}

export interface CrmOptions {
  /** @default any free one */
  readonly port?: number;
  /** What the API asks for as bearer token. */
  readonly token: string;
  /** Signs webhooks. */
  readonly secret: string;
  /** Where webhooks go. */
  readonly hook: string;
}

const RETRY_MS = 200;
const API_USER = 'tidegate';

export async function startCrm({ port = 0, token, secret, hook }: CrmOptions): Promise<Crm> {
  const contacts = new Map<string, Fields>();
  const takenKeys = new Set<string>();
  const lines = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  let apiWrites = 0;
  let waiting = 0;
  let lastId = 0;

  function write(contact: string, fields: Fields, by: string): void {
    contacts.set(contact, { ...contacts.get(contact), ...fields });
    lastId += 1;
    waiting += 1;
    const body = JSON.stringify({ id: `change-${lastId}`, contact, changed: fields, by });
    const before = lines.get(contact) ?? Promise.resolve();
    lines.set(
      contact,
      before
        .then(() => send(body))
        .finally(() => {
          waiting -= 1;
        }),
    );
  }

  async function send(body: string): Promise<void> {
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    const headers = { 'content-type': 'application/json', 'x-crm-signature': signature };
    while (!stopping.signal.aborted) {
      const { signal } = stopping;
      const answer = await fetch(hook, { method: 'POST', headers, body, signal }).catch(() => null);
      await answer?.arrayBuffer();
      if (answer?.ok) return;
      await wait(RETRY_MS);
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, contact] = /^\/contacts\/([^/]+)$/.exec(request.url ?? '') ?? [];
    const key = String(request.headers['idempotency-key']);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.headers.authorization !== `Bearer ${token}`) response.statusCode = 401;
    else if (request.method !== 'PATCH' || contact === undefined) response.statusCode = 404;
    else if (!takenKeys.has(key)) {
      takenKeys.add(key);
      apiWrites += 1;
      const fields = JSON.parse(Buffer.concat(chunks).toString()) as Fields;
      write(decodeURIComponent(contact), fields, API_USER);
    }
    response.end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    contacts,
    get apiWrites() {
      return apiWrites;
    },
    get waiting() {
      return waiting;
    },
    edit: write,
    async stop() {
      stopping.abort();
      server.closeAllConnections();
      server.close();
      await Promise.all(lines.values());
    },
  };
}
