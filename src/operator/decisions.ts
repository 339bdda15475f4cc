import type { Request } from 'express';
import { z } from 'zod';
import type { Problem } from '../http/problem.ts';
import type { Act } from '../journal/dead-letters.ts';
import type { Journal } from '../journal/journal.ts';
import type { RunRow } from '../journal/rows.ts';
import { isStorable } from '../journal/text.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { DECISION_ACTIONS, type Decision } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import { actorOf, Reason } from './actor.ts';
import { type Handler, issuesOf } from './handler.ts';
import type { RunOperations } from './run-operations.ts';
import { findRun } from './runs.ts';
import { isVoice, takeDecision } from './take-decision.ts';

/** `POST /runs/:run/decisions`: a person says what a waiting run does next. */
export const decideRun =
  (journal: Journal, runs: RunOperations): Handler =>
  async (request) => {
    const row = await findRun(journal, request);
    const { action, ...said } = bodyOf(request);
    const actor = decider(request, action);
    if (action === 'resume') return resumeFuse(journal, row.run, { actor, reason: said.reason });
    const decision = decisionOf(row, { ...said, action, actor });
    const name = nameOf(row, decision, request);
    return { run: row.run, ...(await takeDecision({ journal, runs }, row.run, decision, name)) };
  };

/** It is not for the run itself: what goes on is the sending of what is held. */
async function resumeFuse(journal: Journal, run: RunId, act: Act) {
  if (await journal.resetFuse(run, act)) return { run, action: 'resume' };
  throw new TidegateError('run_not_waiting', `The fuse of ${run} has not tripped.`);
}

const ACTIONS = [...DECISION_ACTIONS, 'resume'] as const;

/** The body of a decision, for the handler and for the OpenAPI document. */
export const DecisionBody = z
  .strictObject({
    action: z.enum(ACTIONS, { error: `must be one of ${ACTIONS.join(', ')}` }),
    reason: Reason,
    input: z.json().optional(),
    parkId: z.string().min(1).max(LIMITS.attributeCharactersMax).optional(),
  })
  .refine(({ action, parkId }) => parkId === undefined || action !== 'flush', {
    path: ['parkId'],
    error: 'is not for flush, which closes an open window',
  })
  .refine(({ action, parkId }) => parkId === undefined || action !== 'resume', {
    path: ['parkId'],
    error: 'is not for resume, which lets a run go on whose fuse has tripped',
  })
  .refine(({ action, input }) => input === undefined || action === 'skip', {
    path: ['input'],
    error: 'is only for skip: the value that the skipped step returns',
  });

const IdempotencyKey = z.string().min(1).max(255, 'must have at most 255 characters');

type Said = z.output<typeof DecisionBody>;

function bodyOf(request: Request): Said {
  if (!isKeepable(request.body)) {
    const message = `has a NUL character, half a surrogate pair, or over ${LIMITS.jsonDepthMax} levels`;
    throw decisionInvalid([{ path: 'body', message }]);
  }
  return valid(DecisionBody, request.body, 'body');
}

/**
 * The decision that was said. It names its park, by default the one that the journal shows, so that
 * a decision which comes late or twice is refused at the run's next park instead of deciding that
 * one too.
 */
function decisionOf(
  row: RunRow,
  {
    action,
    reason,
    actor,
    input,
    parkId,
  }: Omit<Said, 'action'> & Pick<Decision, 'action' | 'actor'>,
): Decision {
  const park = action === 'flush' ? undefined : (parkId ?? row.park?.parkId);
  return {
    action,
    reason,
    actor,
    ...(input === undefined ? {} : { input }),
    ...(park === undefined ? {} : { parkId: park }),
  };
}

/** An approver has to be named; any operator may take the other decisions. */
function decider(request: Request, action: Said['action']): string {
  const named = actorOf(request, decisionInvalid);
  if (named !== undefined) return named;
  if (action === 'resume' || !isVoice(action)) return 'operator';
  const message = `must name the approver who says ${action}, as the question names them`;
  throw decisionInvalid([{ path: 'X-Actor', message }]);
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
