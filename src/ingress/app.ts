import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { type Access, createAccess, requires } from '../access/authenticate.ts';
import { problemOf, sendProblem } from '../http/problem.ts';
import type { Journal } from '../journal/journal.ts';
import type { Contract, EventCatalogue, OldSenders } from '../model/contract.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import type { Logger } from '../telemetry.ts';
import { type Admission, createAdmission } from './admission.ts';
import { fewHeaders } from './connections.ts';
import { deprecationHeaders, deprecationsOf, deprecationWarning } from './deprecation.ts';
import type { AppendedDelivery, EventResult, IngressContext, Intake } from './exchange.ts';
import { healthz, type ReadinessChecks, readyz } from './health.ts';
import { observeRequests } from './observe-requests.ts';
import type { IngressObserver } from './observer.ts';
import { ingest, resultsOf, takeCloudEvents, takePlainEvent, takeWebhook } from './pipeline.ts';
import { countRefusals, type Refusals, type RefusedDelivery } from './refusals.ts';
import { closeUnlessRead } from './slow-bodies.ts';
import { type BoundSource, type HandshakeAnswer, pathOf } from './source.ts';
import { secretVariable } from './source-secrets.ts';
import { sendHandshake } from './stages/answer-setup.ts';
import { forCaller } from './stages/check-caller.ts';
import type { Committed } from './stages/commit.ts';
import { preferredWait, waitForOutcomes } from './stages/wait-for-outcomes.ts';

export interface IngressOptions {
  readonly journal: IngressContext['journal'] & Pick<Journal, 'ping'>;
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly flows: FlowRegistry;
  /** Made by `bindSources`. @default none */
  readonly sources?: readonly BoundSource[];
  readonly logger: Logger;
  /** Told of deliveries as soon as they are committed: the dispatcher's fast path. */
  readonly onAppended?: (appended: readonly AppendedDelivery[]) => void;
  /** Who may send to `/events`. @default requests from this machine, without a credential */
  readonly access?: Access;
  /** Other parts of the process, such as the operator API. They answer for themselves. */
  readonly routers?: readonly { readonly path: string; readonly router: RequestHandler }[];
  /** What `/readyz` asks beside the journal. */
  readonly checks?: ReadinessChecks;
  readonly now?: () => Date;
  /** Where webhooks reach us, without a slash at its end: some providers sign the address. */
  readonly publicUrl?: string;
  /** Whether verified deliveries are kept as they came. @default false */
  readonly keepRaw?: boolean;
  /** Counts the deliveries that sources refuse. @default a counter that nobody reads */
  readonly refusals?: Refusals;
  /** Told of events in an old version of their contract. @default nobody counts them */
  readonly oldSenders?: OldSenders;
  /** What is let in. @default everything */
  readonly admission?: Admission;
  /** Told of requests and events, for metrics. @default nobody counts them */
  readonly observer?: IngressObserver;
  /** Proxies in front of it, whose `X-Forwarded-For` tells where a request comes from. @default 0 */
  readonly trustedProxies?: number;
  /** Whether the process takes its leave: `/readyz` says so. @default never */
  readonly isStopping?: () => boolean;
}

/** The ingress: events in over HTTP, answered only when they are durable (DESIGN §5). */
export function createIngressApp(options: IngressOptions): Express {
  const { journal, logger, sources = [] } = options;
  const { access = createAccess({ local: true, logger }) } = options;
  for (const { name, verify, secrets } of sources) {
    if (verify.needsSecret && secrets.length === 0) {
      logger.warn({ source: name }, `takes no webhooks until ${secretVariable(name)} is set`);
    }
    if (verify.needsUrl && options.publicUrl === undefined) {
      logger.warn({ source: name }, 'takes no webhooks until TIDEGATE_PUBLIC_URL is set');
    }
  }
  const context: IngressContext = {
    journal,
    catalogue: options.catalogue,
    flows: options.flows,
    onAppended: (appended) => {
      try {
        options.onAppended?.(appended);
      } catch (error) {
        // What is committed is answered with 202: the dispatcher finds it in the journal.
        logger.error({ reason: messageOf(error) }, 'could not tell the dispatcher of events');
      }
    },
    now: options.now ?? (() => new Date()),
    ...(options.oldSenders && { oldSenders: options.oldSenders }),
    ...(options.observer && { observer: options.observer }),
  };
  const app = express().disable('x-powered-by').disable('etag').set('query parser', 'simple');
  app.set('trust proxy', options.trustedProxies ?? 0);
  const { admission = createAdmission({}) } = options;
  const guard = [
    admission.beforeEvents,
    access.authenticate,
    requires('events:write'),
    admission.ofCaller,
  ];
  const answer = answering(context, admission, logger);
  if (options.observer !== undefined) app.use(observeRequests(options.observer));
  app.use(fewHeaders);

  app
    .route('/events')
    .post(guard, answer(forCaller(takeCloudEvents)))
    .all(only('POST'));
  app
    .route('/events/:type')
    .post(guard, answer(forCaller(takePlainEvent)))
    .all(only('POST'));
  const refusals = options.refusals ?? countRefusals();
  const hooks = answer((request) =>
    takeWebhook(request, {
      sources,
      publicUrl: options.publicUrl,
      keepRaw: options.keepRaw ?? false,
      now: context.now,
      admission,
      onRefused: refusalLog(refusals, logger, context.now),
    }),
  );
  app
    .route('/hooks/:source')
    .post(hooks)
    .get((request, response, next) =>
      sources.some((each) => pathOf(each) === request.params.source && each.setup !== undefined)
        ? hooks(request, response, next)
        : next(),
    )
    .all(only('POST'));
  app.route('/healthz').get(healthz).all(only('GET, HEAD'));
  app
    .route('/readyz')
    .get(readyz({ journal: () => journal.ping(), ...options.checks }, logger, options.isStopping))
    .all(only('GET, HEAD'));
  for (const { path, router } of options.routers ?? []) app.use(path, router);
  app.use(() => {
    throw new TidegateError('not_found', 'There is nothing at this address.');
  });
  app.use(problems(logger));
  return app;
}

const only =
  (methods: string): RequestHandler =>
  (_request, response) => {
    response.set('Allow', methods);
    throw new TidegateError('method_not_allowed', `This address takes ${methods} only.`);
  };

function answering(context: IngressContext, admission: Admission, logger: Logger) {
  let waiting = 0;

  async function outcomes(
    committed: readonly Committed[],
    request: Request,
    response: Response,
  ): Promise<readonly EventResult[]> {
    const seconds = preferredWait(request.get('prefer'));
    if (seconds === undefined || waiting >= LIMITS.waitingRequestsMax) return resultsOf(committed);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    response.set('Preference-Applied', `wait=${seconds}`);
    waiting += 1;
    try {
      const { journal } = context;
      return await waitForOutcomes(committed, {
        journal,
        waitMs: seconds * 1_000,
        signal: gone.signal,
      });
    } finally {
      waiting -= 1;
    }
  }

  return (take: (request: Request) => Promise<Intake | HandshakeAnswer>): RequestHandler =>
    async (request, response) => {
      const intake = await take(request);
      if (!('candidates' in intake)) return sendHandshake(response, intake);
      admission.tenants(intake);
      const deprecations = deprecationsOf(intake, context.catalogue);
      response.set(deprecationHeaders(deprecations));
      const committed = await ingest(intake, context);
      logger.debug({ route: request.route.path, ...counts(committed) }, 'took events');
      const told = await outcomes(committed, request, response);
      const results = told.map((result, index) => {
        const deprecation = deprecations[index];
        return deprecation ? { ...result, warning: deprecationWarning(deprecation) } : result;
      });
      const { acknowledge = 202 } = intake;
      response.status(acknowledge).set('Cache-Control', 'no-store');
      if (acknowledge === 202) response.json({ results });
      else response.end();
    };
}

/** A line for a refused delivery, with nothing in it that came from the sender. */
const refusalLog =
  (refusals: Refusals, logger: Logger, now: () => Date) =>
  (refusal: RefusedDelivery): void => {
    const line = refusals.note(refusal, now().getTime());
    if (line !== undefined) logger.warn({ ...refusal, ...line }, 'refused a delivery');
  };

/** How many events had each status: what may be logged of a request. */
function counts(committed: readonly Committed[]): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { result } of committed) found[result.status] = (found[result.status] ?? 0) + 1;
  return found;
}

// Express tells an error handler by its four parameters.
const problems =
  (logger: Logger) =>
  (error: unknown, request: Request, response: Response, next: (error: unknown) => void): void => {
    const { status, code } = problemOf(error);
    const route: unknown = request.route?.path;
    // What is shed comes by the thousand, and a process that is not ready is asked every second: both are logged where
    // it is decided.
    if (status >= 500 && code !== 'backlog_full' && code !== 'not_ready') {
      const stack = status === 500 && error instanceof Error ? error.stack : undefined;
      logger.error({ route, code, reason: messageOf(error), stack }, 'could not take a request');
    } else logger.debug({ route, code }, 'refused a request');
    if (response.headersSent) next(error);
    else {
      response.status(status);
      closeUnlessRead(request, response);
      sendProblem(response, error);
    }
  };
