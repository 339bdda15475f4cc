import express, {
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
  Router,
} from 'express';
import { type Access, createAccess, requires } from '../access/authenticate.ts';
import type { Action } from '../access/caller.ts';
import { problemOf, sendProblem } from '../http/problem.ts';
import type { Again } from '../journal/again.ts';
import type { Journal } from '../journal/journal.ts';
import type { VerifyAgain } from '../journal/verify-again.ts';
import { TidegateError } from '../model/error.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import { maskingOf } from '../model/masking.ts';
import type { Logger } from '../telemetry.ts';
import { showAudit } from './audit.ts';
import { type ListedConnector, listConnectors } from './connectors.ts';
import { type ListedContracts, listContracts } from './contracts.ts';
import { listDeadLetters } from './dead-letters.ts';
import { decideRun } from './decisions.ts';
import { deliverEvent } from './deliver-event.ts';
import { listEvents, showEvent } from './events.ts';
import { listFlows } from './flows.ts';
import type { Handler } from './handler.ts';
import { createKey, listKeys, revokeKey, rotateKey } from './keys.ts';
import { maskedJournal, maskedRuns } from './masked-journal.ts';
import { listOutbox } from './outbox.ts';
import { discardDeadLetter, retryDeadLetter } from './retry-dead-letter.ts';
import type { RunOperations } from './run-operations.ts';
import { listRuns, showRun, type TemporalWeb } from './runs.ts';
import { showTrace } from './trace.ts';
import { verifyEvent } from './verify-event.ts';

export interface OperatorOptions extends TemporalWeb {
  readonly journal: Journal;
  readonly flows: FlowRegistry;
  readonly connectors: readonly ListedConnector[];
  /** @default no contracts are listed */
  readonly contracts?: ListedContracts;
  readonly runs: RunOperations;
  /** What decides again about events. @default none: nothing is retried, discarded or delivered by hand */
  readonly again?: Again;
  /** What verifies kept deliveries. @default none: the address is not there */
  readonly verifyAgain?: VerifyAgain;
  /** Who may call. @default requests from this machine, without a credential */
  readonly access?: Access;
  readonly logger: Logger;
  /** @default the system's clock */
  readonly now?: () => Date;
}

/** The operator API (DESIGN §5 "Operate"), to be mounted under `/api/v1`. */
export function operatorRouter(options: OperatorOptions): Router {
  const { journal, flows, connectors, runs, logger, now = () => new Date() } = options;
  const { access = createAccess({ local: true, logger }) } = options;
  const masking = options.contracts && maskingOf(options.contracts.catalogue);
  const shown = maskedJournal(journal, masking);
  const router = Router();
  router.use(answersPrivately, access.authenticate);

  get(router, '/events', listEvents(shown));
  get(router, '/events/:id', showEvent(shown));
  get(router, '/trace/:correlationId', showTrace(shown, options));
  get(router, '/flows', listFlows(flows));
  get(router, '/connectors', listConnectors(connectors));
  get(router, '/contracts', listContracts(options.contracts));
  get(router, '/runs', listRuns(shown, options));
  get(router, '/runs/:run', showRun(shown, maskedRuns(runs, journal, masking), options));
  post(router, '/runs/:run/decisions', decideRun(journal, runs));
  get(router, '/dead-letters', listDeadLetters(shown));
  get(router, '/outbox', listOutbox(shown));
  router.route('/audit').get(requires('operate:read'), showAudit(journal)).all(onlyMethod('GET'));
  if (options.again !== undefined) {
    const context = { journal, runs, again: options.again };
    post(router, '/dead-letters/:id/retry', retryDeadLetter(context));
    post(router, '/dead-letters/:id/discard', discardDeadLetter(context));
    post(router, '/events/:id/deliver', deliverEvent(context));
  }

  if (options.verifyAgain !== undefined) {
    const context = { journal, verifyAgain: options.verifyAgain };
    // It tells whether, and changes nothing.
    post(router, '/events/:id/verify', verifyEvent(context), 'operate:read');
  }

  const keys = { journal, now };
  router
    .route('/keys')
    .get(requires('keys:write'), answer(listKeys(keys)))
    .post(...taking(createKey(keys), 'keys:write'))
    .all(onlyMethod('GET, HEAD, POST'));
  post(router, '/keys/:id/rotate', rotateKey(keys), 'keys:write');
  post(router, '/keys/:id/revoke', revokeKey(keys), 'keys:write');

  router.use((_request, _response, next) => {
    next(new TidegateError('not_found', 'The operator API has no such address.'));
  });
  router.use(problems(logger));
  return router;
}

function get(router: Router, path: string, handler: Handler): void {
  router.route(path).get(requires('operate:read'), answer(handler)).all(onlyMethod('GET'));
}

function post(
  router: Router,
  path: string,
  handler: Handler,
  action: Action = 'operate:write',
): void {
  router
    .route(path)
    .post(...taking(handler, action))
    .all(onlyMethod('POST'));
}

/** What a POST goes through. */
const taking = (handler: Handler, action: Action): RequestHandler[] => [
  requires(action),
  jsonOnly,
  express.json({ limit: LIMITS.decisionBytesMax }),
  answer(handler),
];

const answer = (handler: Handler) => async (request: Request, response: Response) => {
  response.json(await handler(request));
};

/** A form or a script of another site can post without asking first, but not with this type. */
function jsonOnly(request: Request, _response: Response, next: NextFunction): void {
  const isJson = /^application\/json\s*(?:;|$)/i.test(request.get('content-type') ?? '');
  const refusal = new TidegateError(
    'unsupported_media_type',
    'Send the body with Content-Type: application/json.',
  );
  next(isJson ? undefined : refusal);
}

const onlyMethod =
  (method: string) => (_request: Request, response: Response, next: NextFunction) => {
    response.set('Allow', method === 'GET' ? 'GET, HEAD' : method);
    next(new TidegateError('method_not_allowed', `This address takes ${method} only.`));
  };

/** Answers hold business data: no cache keeps them and no browser guesses at their type. */
function answersPrivately(_request: Request, response: Response, next: NextFunction): void {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  next();
}

// Express tells an error handler by its four parameters.
const problems =
  (logger: Logger) =>
  (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const { status, code } = problemOf(error);
    if (status >= 500) {
      logger.error(
        { err: error, code, method: request.method, path: request.path },
        'operator API',
      );
    }
    sendProblem(response, error);
  };
