import express, { type NextFunction, type Request, type Response, Router } from 'express';
import { bearerToken } from '../http/bearer.ts';
import { loopbackHostsOnly } from '../http/loopback.ts';
import { problemOf, sendProblem } from '../http/problem.ts';
import type { Journal } from '../journal/journal.ts';
import { TidegateError } from '../model/error.ts';
import type { FlowRegistry } from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import type { Logger } from '../telemetry.ts';
import { type ListedConnector, listConnectors } from './connectors.ts';
import { type ListedContracts, listContracts } from './contracts.ts';
import { listDeadLetters } from './dead-letters.ts';
import { decideRun } from './decisions.ts';
import { listEvents, showEvent } from './events.ts';
import { listFlows } from './flows.ts';
import type { Handler } from './handler.ts';
import { listOutbox } from './outbox.ts';
import type { RunOperations } from './run-operations.ts';
import { listRuns, showRun, type TemporalWeb } from './runs.ts';
import { showTrace } from './trace.ts';

export interface OperatorOptions extends TemporalWeb {
  readonly journal: Journal;
  readonly flows: FlowRegistry;
  readonly connectors: readonly ListedConnector[];
  /** @default no contracts are listed */
  readonly contracts?: ListedContracts;
  readonly runs: RunOperations;
  /** What every request must carry as bearer token; absent, none is asked for. */
  readonly token?: string;
  /** The address that the server listens on. @default '127.0.0.1' */
  readonly host?: string;
  readonly logger: Logger;
}

/** The operator API (DESIGN §5 "Operate"), to be mounted under `/api/v1`. */
export function operatorRouter(options: OperatorOptions): Router {
  const { journal, flows, connectors, runs, token, host = '127.0.0.1', logger } = options;
  const router = Router();
  router.use(loopbackHostsOnly(host), bearerToken(token), answersPrivately);

  get(router, '/events', listEvents(journal));
  get(router, '/events/:id', showEvent(journal));
  get(router, '/trace/:correlationId', showTrace(journal, options));
  get(router, '/flows', listFlows(flows));
  get(router, '/connectors', listConnectors(connectors));
  get(router, '/contracts', listContracts(options.contracts));
  get(router, '/runs', listRuns(journal, options));
  get(router, '/runs/:run', showRun(journal, runs, options));
  post(router, '/runs/:run/decisions', decideRun(journal, runs));
  get(router, '/dead-letters', listDeadLetters(journal));
  get(router, '/outbox', listOutbox(journal));

  router.use((_request, _response, next) => {
    next(new TidegateError('not_found', 'The operator API has no such address.'));
  });
  router.use(problems(logger));
  return router;
}

function get(router: Router, path: string, handler: Handler): void {
  router.route(path).get(answer(handler)).all(onlyMethod('GET'));
}

function post(router: Router, path: string, handler: Handler): void {
  const body = express.json({ limit: LIMITS.decisionBytesMax });
  router.route(path).post(jsonOnly, body, answer(handler)).all(onlyMethod('POST'));
}

const answer = (handler: Handler) => async (request: Request, response: Response) => {
  response.json(await handler(request));
};

/** A form or a script of another site can post without asking first, but not with this type. */
function jsonOnly(request: Request, _response: Response, next: NextFunction): void {
  const isJson = /^application\/json\s*(?:;|$)/i.test(request.get('content-type') ?? '');
  const refusal = new TidegateError(
    'unsupported_media_type',
    'Send the decision with Content-Type: application/json.',
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
