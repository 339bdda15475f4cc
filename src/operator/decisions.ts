import type { Request } from 'express';
import { z } from 'zod';
import type { Problem } from '../http/problem.ts';
import type { Journal, RunRow } from '../journal/journal.ts';
import { isStorable } from '../journal/text.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { DECISION_ACTIONS, type Decision } from '../model/protocol.ts';
import { textProblem } from '../model/run.ts';
import { type Handler, issuesOf } from './handler.ts';
import type { RunOperations } from './run-operations.ts';
import { findRun } from './runs.ts';
import { isVoice, takeDecision } from './take-decision.ts';

/** `POST /runs/:run/decisions`: a person says what a waiting run does next. */
export const decideRun =
  (journal: Journal, runs: RunOperations): Handler =>
  async (request) => {
    const row = await findRun(journal, request);
    const decision = decisionFor(row, request);
    const name = nameOf(row, decision, request);
    return { run: row.run, ...(await takeDecision({ journal, runs }, row.run, decision, name)) };
  };

const Body = z
  .strictObject({
    action: z.enum(DECISION_ACTIONS, { error: `must be one of ${DECISION_ACTIONS.join(', ')}` }),
    reason: z
      .string({ error: 'must be text: why you decide so, for those who read it later' })
      .trim()
      .min(1, 'must say why you decide so, for those who read it later')
      .max(
        LIMITS.reasonCharactersMax,
        `must have at most ${LIMITS.reasonCharactersMax} characters`,
      ),
    input: z.json().optional(),
    parkId: z.string().min(1).max(LIMITS.attributeCharactersMax).optional(),
  })
  .refine(({ action, parkId }) => parkId === undefined || action !== 'flush', {
    path: ['parkId'],
    error: 'is not for flush, which closes an open window',
  })
  .refine(({ action, input }) => input === undefined || action === 'skip', {
    path: ['input'],
    error: 'is only for skip: the value that the skipped step returns',
  });

const Actor = z
  .string()
  .max(200, 'must have at most 200 characters')
  .refine((text) => textProblem(text) === undefined, 'has a control character');
const IdempotencyKey = z.string().min(1).max(255, 'must have at most 255 characters');

/**
 * The decision in a request. It names its park, by default the one that the journal shows, so that
 * a decision which comes late or twice is refused at the run's next park instead of deciding that
 * one too.
 */
function decisionFor(row: RunRow, request: Request): Decision {
  if (!isKeepable(request.body)) {
    const message = `has a NUL character, half a surrogate pair, or over ${LIMITS.jsonDepthMax} levels`;
    throw decisionInvalid([{ path: 'body', message }]);
  }
  const { action, reason, input, parkId } = valid(Body, request.body, 'body');
  const actor = valid(Actor, actorOf(request, action), 'X-Actor');
  const park = action === 'flush' ? undefined : (parkId ?? row.park?.parkId);
  return {
    action,
    reason,
    actor,
    ...(input === undefined ? {} : { input }),
    ...(park === undefined ? {} : { parkId: park }),
  };
}

/** An approver has to say who speaks; any operator may take the other decisions. */
function actorOf(request: Request, action: Decision['action']): string {
  const given = request.get('x-actor');
  if (given !== undefined && given !== '') return utf8(given);
  if (!isVoice(action)) return 'operator';
  const message = `must name the approver who says ${action}, as the question names them`;
  throw decisionInvalid([{ path: 'X-Actor', message }]);
}

/** Node reads a header's bytes as Latin-1; most clients send UTF-8. */
function utf8(header: string): string {
  const text = Buffer.from(header, 'latin1').toString();
  return text.includes('\ufffd') ? header : text;
}

/** What makes it the same decision, when it is not the park that it names. */
function nameOf(
  { settledThrough }: RunRow,
  { action, parkId }: Decision,
  request: Request,
): string | undefined {
  const key = request.get('idempotency-key');
  if (key !== undefined) return `key ${valid(IdempotencyKey, key, 'Idempotency-Key')}`;
  return parkId === undefined ? `${action} window after ${settledThrough}` : undefined;
}

function valid<Output>(schema: z.ZodType<Output>, value: unknown, name: string): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw decisionInvalid(
    issuesOf(parsed.error).map(({ path, message }) => ({
      path: path === '' ? name : path,
      message,
    })),
  );
}

const decisionInvalid = (errors: Problem['errors']): TidegateError =>
  new TidegateError(
    'decision_invalid',
    'A decision is {"action","reason"} with one of the actions, and "input" where it skips.',
    { details: { errors } },
  );

/**
 * PostgreSQL refuses NUL in text and JSON, so that the run would try for ever to write its decision;
 * JSON nested deeper overflows the stack of whoever walks it.
 */
function isKeepable(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return isStorable(value);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= LIMITS.jsonDepthMax) return false;
  return Object.entries(value).every(
    ([name, field]) => isStorable(name) && isKeepable(field, depth + 1),
  );
}
