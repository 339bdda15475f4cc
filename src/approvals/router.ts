import express, { type NextFunction, type Request, type Response, Router } from 'express';
import { loopbackHostsOnly } from '../http/loopback.ts';
import { type Problem, problemOf } from '../http/problem.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Logger } from '../telemetry.ts';
import { type AnswerOptions, giveAnswer, openLink, readForm, viewOf } from './answer.ts';
import { messagePage, type QuestionView, questionPage } from './page.ts';
import { STYLE_HASH } from './style.ts';

export interface ApprovalOptions extends Omit<AnswerOptions, 'now'> {
  /** The address that the server listens on; on loopback it answers to that name only. @default '127.0.0.1' */
  readonly host?: string;
  /** Where people reach the ingress: that name is answered to as well. */
  readonly publicUrl?: string;
  /** @default the system's clock */
  readonly now?: () => Date;
}

/**
 * The pages behind approval links, to be mounted under `/approvals`. A link is its own credential. GET
 * changes nothing, because mail scanners and chat previews open links; the buttons post to the same
 * address.
 */
export function approvalRouter(options: ApprovalOptions): Router {
  const { host = '127.0.0.1', publicUrl, logger } = options;
  const answers: AnswerOptions = { now: () => new Date(), ...options };
  const router = Router();
  const publicHost = publicUrl === undefined ? undefined : new URL(publicUrl).hostname;
  router.use(guarded, loopbackHostsOnly(host, publicHost));
  router
    .route('/:token')
    .get((request, response) => show(answers, request, response))
    .post(formsOnly, form, (request, response) => answer(answers, request, response))
    .all((_request, response) => {
      response.set('Allow', 'GET, HEAD, POST');
      throw new TidegateError('method_not_allowed', 'This address takes GET, HEAD and POST only.');
    });
  router.use((_request, response) => send(response, 404, UNKNOWN));
  router.use(problems(logger));
  return router;
}

/** No cache keeps these pages, no other page frames them, and the address goes to nobody. */
function guarded(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Robots-Tag': 'noindex, nofollow',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Content-Security-Policy': `default-src 'none'; style-src '${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  });
  next();
}

function formsOnly(request: Request, _response: Response, next: NextFunction): void {
  const type = request.get('content-type') ?? '';
  const isForm = /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type);
  next(isForm ? undefined : new TidegateError('unsupported_media_type', 'Send the form itself.'));
}

const form = express.urlencoded({
  extended: false,
  inflate: false,
  limit: LIMITS.approvalFormBytesMax,
  parameterLimit: 10,
});

const UNKNOWN = messagePage(
  'This link does not work',
  'Perhaps it was not copied whole. Open it from the message in which you were asked, or ask there for a new one.',
);
const EXPIRED = messagePage(
  'This link has expired',
  'The time to decide is over. Nobody can answer by this link any more.',
);
const GONE = messagePage('This question is gone', 'It is not asked any more.');

async function show(options: AnswerOptions, request: Request, response: Response): Promise<void> {
  const link = await openLink(options, String(request.params.token));
  if (link.kind === 'question') sendQuestion(response, viewOf(link, options.now()));
  else sendNoQuestion(response, link.kind);
}

async function answer(options: AnswerOptions, request: Request, response: Response): Promise<void> {
  const link = await openLink(options, String(request.params.token));
  if (link.kind !== 'question') return sendNoQuestion(response, link.kind);
  const given = readForm(request.body);
  if ('problem' in given) {
    const { problem, reason } = given;
    const view = viewOf(link, options.now());
    return sendQuestion(response, { ...view, outcome: { kind: 'unclear', problem }, reason });
  }
  return sendQuestion(response, await giveAnswer(options, link, given));
}

function sendNoQuestion(response: Response, kind: 'unknown' | 'expired' | 'gone'): void {
  if (kind === 'unknown') send(response, 404, UNKNOWN);
  else send(response, 410, kind === 'expired' ? EXPIRED : GONE);
}

function sendQuestion(response: Response, view: QuestionView): void {
  const status = statusOf(view);
  if (status === 503) response.set('Retry-After', RETRY_AFTER_SECONDS);
  send(response, status, questionPage(view));
}

const RETRY_AFTER_SECONDS = '2';

function statusOf({ standing, outcome }: QuestionView): number {
  switch (outcome?.kind) {
    case 'notReached':
      return 503;
    case 'stands':
      return 409;
    case 'unclear':
      return 422;
    case 'taken':
    case 'tooLate':
    case undefined:
      break;
    default:
      return outcome satisfies never;
  }
  switch (standing.kind) {
    case 'open':
    case 'answered':
    case 'decided':
      return 200;
    case 'expired':
    case 'withdrawn':
      return 410;
    case 'notAsked':
      return 403;
    default:
      return standing satisfies never;
  }
}

function send(response: Response, status: number, page: string): void {
  response.status(status).type('html').send(page);
}

// Express tells an error handler by its four parameters.
const problems =
  (logger: Logger) =>
  (error: unknown, request: Request, response: Response, next: NextFunction): void => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const problem = problemOf(error);
    const { status, code } = problem;
    // Not the address: the rest of it is the credential.
    const fields = { route: '/approvals/:token', method: request.method, code };
    if (status >= 500) logger.error({ ...fields, err: error }, 'could not answer');
    else logger.debug(fields, 'refused a request');
    if (status === 503) response.set('Retry-After', RETRY_AFTER_SECONDS);
    send(response, status, problemPage(problem));
  };

function problemPage({ status, code, detail }: Problem): string {
  if (status === 404) return UNKNOWN;
  if (code === 'config_invalid') {
    return messagePage(
      'Approvals are not set up here',
      'Please tell those who run this Tidegate. Your link will work when they have set it up.',
    );
  }
  if (status === 503) {
    return messagePage(
      'Please try again',
      'We cannot answer now. Nothing was lost: try again in a moment. The same answer twice counts once.',
    );
  }
  if (status >= 500) {
    return messagePage('Something failed on our side', 'Please try again in a moment.');
  }
  return messagePage('This did not work', detail);
}
