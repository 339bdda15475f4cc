import type { Request } from 'express';
import { z } from 'zod';
import { callerOf } from '../access/authenticate.ts';
import { namesActor } from '../access/caller.ts';
import type { Problem } from '../http/problem.ts';
import type { Act } from '../journal/dead-letters.ts';
import { isStorable } from '../journal/text.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { textProblem } from '../model/run.ts';
import { issuesOf } from './handler.ts';

/**
 * Who acts: undefined when nobody is named. A key and a JWT say it themselves, so that nobody speaks
 * for another; an administrator says it with `X-Actor`.
 *
 * @param refuse makes the error for a header that cannot be a name, or names another.
 */
export function actorOf(
  request: Request,
  refuse: (errors: NonNullable<Problem['errors']>) => TidegateError,
): string | undefined {
  const given = utf8(request.get('x-actor') ?? '');
  const problem = actorProblem(given);
  if (problem !== undefined) throw refuse([{ path: 'X-Actor', message: problem }]);
  const caller = callerOf(request);
  if (namesActor(caller)) return given === '' ? undefined : given;
  if (given === '' || given === caller.id) return caller.id;
  const message = `must be ${caller.id}, whose credential this is, or left out`;
  throw refuse([{ path: 'X-Actor', message }]);
}

function actorProblem(name: string): string | undefined {
  if (name.length > LIMITS.approverCharactersMax) {
    return `must have at most ${LIMITS.approverCharactersMax} characters`;
  }
  return textProblem(name);
}

/** Node reads a header's bytes as Latin-1; most clients send UTF-8. */
function utf8(header: string): string {
  const text = Buffer.from(header, 'latin1').toString();
  return text.includes('\ufffd') ? header : text;
}

/** Why somebody acts, for those who read it later. */
export const Reason = z
  .string({ error: 'must be text: why you do so, for those who read it later' })
  .trim()
  .min(1, 'must say why you do so, for those who read it later')
  .max(LIMITS.reasonCharactersMax, `must have at most ${LIMITS.reasonCharactersMax} characters`)
  .refine(isStorable, 'has a NUL character or half a surrogate pair');

/**
 * What an operator asks for, with who asks and why.
 *
 * @throws TidegateError `request_invalid`, naming each part that is wrong.
 */
export function actOf<Output extends { readonly reason: string }>(
  request: Request,
  schema: z.ZodType<Output>,
): { readonly act: Act; readonly body: Output } {
  const parsed = schema.safeParse(request.body ?? {});
  if (!parsed.success) {
    throw requestInvalid(
      issuesOf(parsed.error).map(({ path, message }) => ({
        path: path === '' ? 'body' : path,
        message,
      })),
    );
  }
  const actor = actorOf(request, requestInvalid) ?? 'operator';
  return { act: { actor, reason: parsed.data.reason }, body: parsed.data };
}

const requestInvalid = (errors: NonNullable<Problem['errors']>): TidegateError =>
  new TidegateError(
    'request_invalid',
    `What was sent is not what this address takes: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}.`,
    { details: { errors } },
  );
