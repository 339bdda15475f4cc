/** A real ingress on 127.0.0.1 with a real journal in memory. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { defineEvents } from 'tidegate/contracts';
import { bindSources, githubEvents, githubSource } from 'tidegate/ingress';
import { z } from 'zod';
import { createIngressApp, type IngressOptions } from '../../src/ingress/app.ts';
import type { AppendedDelivery, EventResult } from '../../src/ingress/exchange.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import type { Json, TidegateEvent } from '../../src/model/event.ts';
import { type FlowHead, type FlowRegistry, flowRegistry } from '../../src/model/flow-registry.ts';
import { createLogger } from '../../src/telemetry.ts';

export const GITHUB_SECRET = 'github-secret-of-the-tests';
export const OLD_GITHUB_SECRET = 'older-github-secret-of-the-tests';

export const events = defineEvents({
  ...githubEvents,
  'deal.stage_changed': {
    version: 2,
    data: z.object({
      dealId: z.string(),
      stage: z.string(),
      amount: z.number(),
      currency: z.string(),
    }),
    subject: (data) => data.dealId,
    upcast: { 1: (old) => ({ ...old, currency: 'EUR' }) },
  },
  'thing.seen': z.unknown(),
  'thing.keyed': z.object({ key: z.unknown() }),
  'thing.filtered': z.object({ want: z.unknown() }),
  'thing.nobody_wants': z.unknown(),
});

const flow = (head: FlowHead) => Object.assign(async () => undefined, { head });
type DealData = { readonly dealId: string; readonly amount: number };
const dataOf = <Data>(event: TidegateEvent): Data => event.data as Data;

export const flows: FlowRegistry = flowRegistry({
  dealDigest: flow({
    on: ['deal.stage_changed'],
    where: (event) => dataOf<DealData>(event).amount >= 1_000,
    key: (event) => dataOf<DealData>(event).dealId,
  }),
  dealAudit: flow({ on: ['deal.stage_changed'] }),
  seen: flow({ on: ['thing.seen'] }),
  keyed: flow({
    on: ['thing.keyed'],
    key: (event) => {
      const { key } = dataOf<{ key: string }>(event);
      if (key === 'throw') throw new Error('the key of this event is not known');
      return key;
    },
  }),
  wanted: flow({
    on: ['thing.filtered'],
    where: (event) => {
      const { want } = dataOf<{ want: unknown }>(event);
      if (want === 'throw') throw new Error('cannot tell');
      return (want === 'promise' ? Promise.resolve(false) : want) as boolean;
    },
  }),
  gladOfAll: flow({ on: ['thing.filtered'], where: (event) => event.subject === 'glad' }),
  issueNotice: flow({ on: ['issue.opened'], key: (event) => event.subject ?? event.id }),
  pushes: flow({ on: ['code.pushed'] }),
});

export interface TestIngress {
  readonly url: string;
  readonly journal: Journal;
  readonly server: Server;
  /** Everything that was handed to the dispatcher. */
  readonly appended: AppendedDelivery[];
  /** Every line of the log, at the most talkative level. */
  readonly log: string[];
  stop(): Promise<void>;
}

export async function startTestIngress(
  options: Partial<IngressOptions> & { readonly journal?: Journal } = {},
): Promise<TestIngress> {
  const journal = options.journal ?? (await openJournal({}));
  const appended: AppendedDelivery[] = [];
  const log: string[] = [];
  const app = createIngressApp({
    catalogue: events,
    flows,
    sources: bindSources([githubSource], {
      TIDEGATE_SOURCE_GITHUB_SECRET: `${GITHUB_SECRET}, ${OLD_GITHUB_SECRET}`,
    }),
    logger: createLogger({ level: 'trace', destination: { write: (line) => void log.push(line) } }),
    onAppended: (fresh) => void appended.push(...fresh),
    ...options,
    journal,
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    journal,
    server,
    appended,
    log,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      if (options.journal === undefined) await journal.close();
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly results?: readonly EventResult[];
    readonly code?: string;
    readonly detail?: string;
    readonly title?: string;
    readonly status?: number | string;
    readonly errors?: readonly { readonly path: string; readonly message: string }[];
  };
}

export async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return send(url, { method: 'POST', body, headers });
}

export async function send(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const body = text === '' ? {} : (JSON.parse(text) as Answer['body']);
  return { status: response.status, headers: response.headers, body };
}

export const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
export const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
export const JSON_TYPE = { 'content-type': 'application/json' };

let lastId = 0;
/** A CloudEvent in JSON format with an id of its own. */
export function cloudEvent(fields: Readonly<Record<string, unknown>> = {}) {
  lastId += 1;
  const id = `event-${lastId}`;
  return { specversion: '1.0', id, source: 'test', type: 'thing.seen', data: {}, ...fields };
}

export const postEvent = (ingress: TestIngress, fields: Readonly<Record<string, unknown>> = {}) =>
  post(`${ingress.url}/events`, JSON.stringify(cloudEvent(fields)), STRUCTURED);

export const postBatch = (ingress: TestIngress, batch: readonly unknown[]) =>
  post(`${ingress.url}/events`, JSON.stringify(batch), BATCH);

/** How many rows the journal has, of events and of dead letters. */
export async function countKept({ journal }: TestIngress): Promise<{
  readonly events: number;
  readonly rejections: number;
}> {
  const listed = await journal.listEvents({}, { limit: 500 });
  const letters = await journal.listDeadLetters({ limit: 500 });
  return { events: listed.rows.length, rejections: letters.rows.length };
}

export async function storedEvent({ journal }: TestIngress, id: string): Promise<TidegateEvent> {
  const [row] = await journal.findEvents(undefined, id);
  if (row === undefined) throw new Error(`no event ${id} in the journal`);
  return row.event;
}

export async function rejections({ journal }: TestIngress) {
  const { rows } = await journal.listDeadLetters({ limit: 500 });
  return rows.filter((row) => row.kind === 'rejected');
}

export const dataOfEvent = (event: TidegateEvent): Json => event.data as Json;
