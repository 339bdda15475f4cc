import { randomUUID } from 'node:crypto';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { approvalRouter } from '../../src/approvals/router.ts';
import { signLink } from '../../src/approvals/token.ts';
import { createIngressApp } from '../../src/ingress/app.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { TidegateError } from '../../src/model/error.ts';
import { flowRegistry } from '../../src/model/flow-registry.ts';
import type { Decision, Question, Resolution, Voice } from '../../src/model/protocol.ts';
import { makeRunId, type RunId } from '../../src/model/run.ts';
import type { RunOperations } from '../../src/operator/run-operations.ts';
import { createLogger } from '../../src/telemetry.ts';
import { refusedBy, speak } from '../../src/workflows/voices.ts';
import { accessWith } from '../access/support.ts';
import { testEvent } from '../support/events.ts';

export const SECRET = 'a-secret-of-thirty-two-bytes-or-more';
export const ANA = 'ana@acme.example';
export const BO = 'bo@acme.example';
export const CY = 'cy@acme.example';
export const PARK = '1/approval#1/1';

/** Runs that ask, by the rules of real ones, without Temporal: they can be away, or behind. */
export function askingRuns(journal: Journal, now: () => Date) {
  const asked = new Map<RunId, { readonly question: Question; readonly voices: Voice[] }>();
  const decisions: Decision[] = [];
  const state = { away: false, tellsJournal: true };

  async function tell(run: RunId): Promise<void> {
    const { question, voices } = asked.get(run) ?? {};
    if (question === undefined || voices === undefined) return;
    for (const voice of voices) {
      await journal.activities['journal.voice']({ run, parkId: PARK, voice });
    }
    const decision = resolutionOf(question, voices);
    if (decision === undefined) return;
    await journal.activities['journal.resume']({ run, parkId: PARK, decision });
    asked.delete(run);
  }

  const runs: Pick<RunOperations, 'decide'> = {
    async decide(run, decision) {
      if (state.away) throw new TidegateError('temporal_unavailable', 'away');
      const parked = asked.get(run);
      if (parked === undefined || decision.parkId !== PARK) {
        throw new TidegateError('run_not_waiting', 'it waits for nothing');
      }
      const refusal = refusedBy({ ...parked, step: 'approval#1' }, decision, now().getTime());
      if (refusal !== undefined) throw new TidegateError(refusal.code, refusal.why);
      decisions.push(decision);
      speak(parked, decision as Parameters<typeof speak>[1], now().getTime());
      if (state.tellsJournal) await tell(run);
      return { parkId: PARK, action: decision.action };
    },
  };

  return {
    runs,
    state,
    /** What reached a run. */
    decisions,
    tell,
    /** A run that asks. */
    async ask(question: Partial<Question> = {}): Promise<RunId> {
      const key = randomUUID();
      const run = makeRunId({ flow: 'accessRequest', tenant: 'acme', key });
      const deliveries = [{ flow: 'accessRequest', key, run }];
      const event = testEvent({ id: key, tenantid: 'acme', data: {} });
      const full: Question = {
        kind: 'approval',
        title: 'Access to billing for Dana',
        context: { system: 'billing' },
        approvers: [ANA, BO],
        need: 2,
        dueAt: now().getTime() + 86_400_000,
        linkNonce: 'nonce',
        ...question,
      };
      await journal.append([{ event, status: 'accepted', deliveries }]);
      await journal.activities['journal.park']({
        run,
        workflowRunId: 'w',
        parkId: PARK,
        step: 'approval#1',
        reason: `approval of ${full.title}`,
        question: full,
      });
      asked.set(run, { question: full, voices: [] });
      return run;
    },
    /** The run is over without a word to the journal. */
    end: (run: RunId) => void asked.delete(run),
  };
}

/** How voices end a question: a rejection, or as many approvals as it takes. */
function resolutionOf({ need }: Question, voices: readonly Voice[]): Resolution | undefined {
  const rejection = voices.find(({ action }) => action === 'reject');
  const decisive = rejection ?? voices.filter(({ action }) => action === 'approve').at(need - 1);
  if (decisive === undefined) return undefined;
  const { action, approver, reason, via } = decisive;
  return { action, actor: approver, reason, via };
}

export interface PageAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly page: string;
}
export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The ingress's own app with the approval pages in it, and a client that can send any header. */
export async function startPages(options: {
  readonly journal: Journal;
  readonly runs: Pick<RunOperations, 'decide'>;
  readonly now?: () => Date;
  readonly secrets?: readonly string[];
  readonly publicUrl?: string;
}) {
  const { journal, secrets = [SECRET] } = options;
  const log: string[] = [];
  const logger = createLogger({
    level: 'trace',
    destination: { write: (line) => void log.push(line) },
  });
  const app = createIngressApp({
    journal,
    catalogue: { contracts: {} },
    flows: flowRegistry({}),
    logger,
    access: accessWith({ token: 'the-operators-token' }),
    routers: [{ path: '/approvals', router: approvalRouter({ ...options, secrets, logger }) }],
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const call = (path: string, { method, headers = {}, body }: Sent = {}): Promise<PageAnswer> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port,
          path: `/approvals/${path}`,
          method: method ?? (body === undefined ? 'GET' : 'POST'),
          headers: {
            ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
            ...headers,
          },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              page: Buffer.concat(chunks).toString(),
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });

  return {
    url: `http://127.0.0.1:${port}`,
    log,
    call,
    /** Presses a button. */
    press: (token: string, action: string, reason = '') =>
      call(token, { body: new URLSearchParams({ action, reason }).toString() }),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A link's token, valid for a day of the given clock. */
export const tokenFor = (run: RunId, approver: string, now: () => Date): Promise<string> =>
  signLink({ run, parkId: PARK, approver }, now().getTime() + 86_400_000, [SECRET]);
