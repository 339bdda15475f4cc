/** An ingress as a process runs it, with a journal in memory and no Temporal. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:http';
import type { Express } from 'express';
import { bindSources, githubSource } from 'tidegate/ingress';
import { startIngress } from '../../../src/ingress/main.ts';
import type { Journal } from '../../../src/journal/journal.ts';
import { openJournal } from '../../../src/journal/open.ts';
import { createLogger } from '../../../src/telemetry.ts';
import { localTemporal } from '../../../src/temporal.ts';
import { events, flows, GITHUB_SECRET } from '../../ingress/support.ts';
import type { Document } from './answers.ts';

export interface TestProcess {
  readonly url: string;
  readonly journal: Journal;
  readonly app: Express;
  readonly document: Document;
  /** Lines of the log from `warn` on. */
  readonly log: string[];
  stop(): Promise<void>;
}

export const TOKEN = 'the-token-of-the-tests';

export async function startProcess(): Promise<TestProcess> {
  const journal = await openJournal({});
  const log: string[] = [];
  const ingress = await startIngress({
    config: { host: '127.0.0.1', port: 0, token: TOKEN, linkSecrets: ['l'.repeat(32)] },
    journal,
    temporal: localTemporal(1),
    catalogue: events,
    flows,
    sources: bindSources([githubSource], { TIDEGATE_SOURCE_GITHUB_SECRET: GITHUB_SECRET }),
    connectors: [{ name: 'crm', operations: ['getDeal'] }],
    decode: (payloads) => payloads,
    logger: createLogger({ level: 'warn', destination: { write: (line) => void log.push(line) } }),
  });
  const app = await appOf(ingress.url);
  const answer = await fetch(`${ingress.url}/openapi.json`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  return {
    url: ingress.url,
    journal,
    app,
    document: (await answer.json()) as Document,
    log,
    async stop() {
      await ingress.stop();
      await journal.close();
    },
  };
}

/** The Express application of a server, as Node tells whoever listens. */
async function appOf(url: string): Promise<Express> {
  const channel = 'http.server.request.start';
  let server: Server | undefined;
  const listen = (message: unknown) => {
    server = (message as { readonly server: Server }).server;
  };
  subscribe(channel, listen);
  await fetch(`${url}/healthz`);
  unsubscribe(channel, listen);
  const app = server?.listeners('request').find((listener) => 'router' in listener);
  if (app === undefined) throw new Error('no Express application answered');
  return app as unknown as Express;
}
