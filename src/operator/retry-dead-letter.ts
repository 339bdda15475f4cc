/** What a person does about a dead letter: have it decided again, or close it. */
import type { Request } from 'express';
import { z } from 'zod';
import { callerOf } from '../access/authenticate.ts';
import { maySee } from '../access/caller.ts';
import type { Again } from '../journal/again.ts';
import type { Act, DeadLetter, DeadLetterName, FoundDeadLetter } from '../journal/dead-letters.ts';
import type { NumberedDelivery } from '../journal/deliveries.ts';
import type { Journal } from '../journal/journal.ts';
import { runLane } from '../journal/lanes.ts';
import { type ErrorCode, TidegateError } from '../model/error.ts';
import type { EventStatus, TidegateEvent } from '../model/event.ts';
import { actOf, Reason } from './actor.ts';
import { type Handler, pathParameter } from './handler.ts';
import type { RunOperations } from './run-operations.ts';
import { takeDecision } from './take-decision.ts';

export interface DeadLetterContext {
  readonly journal: Pick<Journal, 'redelivery' | 'audit' | 'findPark' | 'resetFuse' | 'wake'>;
  readonly runs: Pick<RunOperations, 'decide'>;
  readonly again: Again;
}

/** What came of a retry. */
export interface RetryResult {
  readonly deadLetter: string;
  /** Whether it is done with; else it waits for a person still. */
  readonly closed: boolean;
  /** What the event's answer would say, `held`, or `decided` for a parked run. */
  readonly outcome: EventStatus | 'delivered' | 'held' | 'decided';
  /** Why it is held or rejected again. */
  readonly code?: ErrorCode | (string & {});
  readonly message?: string;
  readonly deliveries: readonly Pick<NumberedDelivery, 'flow' | 'key' | 'run'>[];
}

/** The body, for the handler and for the OpenAPI document. */
export const DeadLetterBody = z.strictObject({ reason: Reason });

/** `POST /dead-letters/:id/retry` */
export const retryDeadLetter =
  (context: DeadLetterContext): Handler =>
  async (request): Promise<RetryResult> => {
    const { act } = actOf(request, DeadLetterBody);
    const { name, letter, closed, event } = await findOpen(context, request);
    if (closed !== undefined) throw alreadyClosed(letter.deadLetter, closed);
    switch (letter.kind) {
      case 'held':
        return retryHeld(context, { name, letter, event: existing(event) }, act);
      case 'lost':
        return retryLost(context, { name, letter, event: existing(event) }, act);
      case 'rejected':
        return retryRejected(context, { name, letter }, act);
      case 'parked':
        return retryParked(context, letter, act);
      case 'fused':
        return resetFuse(context, letter, act);
      case 'undeliverable':
        return retryUndeliverable(context, { name, letter, event: existing(event) }, act);
      default:
        return letter satisfies never;
    }
  };

/** `POST /dead-letters/:id/discard` */
export const discardDeadLetter =
  (context: DeadLetterContext): Handler =>
  async (request) => {
    const { act } = actOf(request, DeadLetterBody);
    const { name, letter, closed } = await findOpen(context, request);
    if (closed !== undefined) throw alreadyClosed(letter.deadLetter, closed);
    if (letter.kind === 'parked' || letter.kind === 'fused') throw decisionNeeded(letter);
    if (!(await context.journal.redelivery.discard(name, act))) {
      throw alreadyClosed(letter.deadLetter);
    }
    // What was held behind it goes on.
    if (letter.kind === 'undeliverable') await context.journal.wake([runLane(letter.run)]);
    return { deadLetter: letter.deadLetter, closed: true, outcome: 'discarded' };
  };

type Found<Kind extends DeadLetter['kind']> = {
  readonly name: DeadLetterName;
  readonly letter: Extract<DeadLetter, { readonly kind: Kind }>;
};

async function retryHeld(
  { journal, again }: DeadLetterContext,
  { name, letter, event }: Found<'held'> & { readonly event: TidegateEvent },
  act: Act,
): Promise<RetryResult> {
  const { deadLetter, flow } = letter;
  const verdict = again.ask(flow, event);
  const delivered = await journal.redelivery.decideHeld(name.number, verdict, act);
  if (delivered === undefined) throw alreadyClosed(deadLetter);
  if (verdict === 'filtered') {
    return { deadLetter, closed: true, outcome: 'filtered', deliveries: [] };
  }
  if ('code' in verdict) {
    const { code, message } = verdict;
    return { deadLetter, closed: false, outcome: 'held', code, message, deliveries: [] };
  }
  await wake(journal, delivered);
  return { deadLetter, closed: true, outcome: 'delivered', deliveries: delivered };
}

async function retryLost(
  { journal, again }: DeadLetterContext,
  { name, letter, event }: Found<'lost'> & { readonly event: TidegateEvent },
  act: Act,
): Promise<RetryResult> {
  const { deadLetter, flow } = letter;
  const limitKeys = again.limitKeys(flow, event);
  const delivered = await journal.redelivery.redeliverLost(name.number, limitKeys, act);
  if (delivered === undefined) throw alreadyClosed(deadLetter);
  await wake(journal, delivered);
  return { deadLetter, closed: true, outcome: 'delivered', deliveries: delivered.slice(0, 1) };
}

async function retryUndeliverable(
  { journal, again }: DeadLetterContext,
  { name, letter, event }: Found<'undeliverable'> & { readonly event: TidegateEvent },
  act: Act,
): Promise<RetryResult> {
  const { deadLetter, flow, rule } = letter;
  // Held in its place, it opens its run as it was journalled to.
  const limitKeys = rule === 'hold' ? undefined : again.limitKeys(flow, event);
  const delivered = await journal.redelivery.retryUndeliverable(name.number, limitKeys, act);
  if (delivered === undefined) throw alreadyClosed(deadLetter);
  await wake(journal, delivered);
  return { deadLetter, closed: true, outcome: 'delivered', deliveries: delivered };
}

/** The audit has it before it is done: what is done commits with other events, in the ingress. */
async function retryRejected(
  { journal, again }: DeadLetterContext,
  { name, letter }: Found<'rejected'>,
  act: Act,
): Promise<RetryResult> {
  const { deadLetter, tenant } = letter;
  await journal.audit.record({ ...act, action: 'dead_letter.retry', target: deadLetter, tenant });
  const { status, reason, deliveries } = await again.take(letter);
  if (status === 'rejected') {
    const now = await journal.redelivery.find(name);
    const message = now?.letter.kind === 'rejected' ? now.letter.message : letter.message;
    return {
      deadLetter,
      closed: false,
      outcome: status,
      ...(reason !== undefined && { code: reason }),
      message,
      deliveries: [],
    };
  }
  await journal.redelivery.noteRetried(name.number, act.actor);
  return { deadLetter, closed: true, outcome: status, deliveries };
}

async function retryParked(
  { journal, runs }: DeadLetterContext,
  { deadLetter, run, parkId }: Found<'parked'>['letter'],
  act: Act,
): Promise<RetryResult> {
  await takeDecision({ journal, runs }, run, { ...act, action: 'retry', parkId });
  return { deadLetter, closed: true, outcome: 'decided', deliveries: [] };
}

async function resetFuse(
  { journal }: DeadLetterContext,
  { deadLetter, run }: Found<'fused'>['letter'],
  act: Act,
): Promise<RetryResult> {
  if (!(await journal.resetFuse(run, act))) throw alreadyClosed(deadLetter);
  return { deadLetter, closed: true, outcome: 'decided', deliveries: [] };
}

/** Tells the dispatchers, which else look twice a second. */
const wake = (
  journal: Pick<Journal, 'wake'>,
  delivered: readonly NumberedDelivery[],
): Promise<void> => journal.wake([...new Set(delivered.map(({ run }) => runLane(run)))]);

const NAME = /^(rejected|parked|lost|held|fused|undeliverable)-(\d{1,15})$/;

/** @throws TidegateError `dead_letter_not_found`, also for one of another tenant. */
async function findOpen(
  { journal }: Pick<DeadLetterContext, 'journal'>,
  request: Request,
): Promise<FoundDeadLetter & { readonly name: DeadLetterName }> {
  const text = pathParameter(request, 'id');
  const [, kind, number] = NAME.exec(text) ?? [];
  const name = { kind: kind as DeadLetter['kind'], number: Number(number) };
  const found = kind === undefined ? undefined : await journal.redelivery.find(name);
  if (found !== undefined && maySee(callerOf(request), found.letter.tenant)) {
    return { ...found, name };
  }
  throw new TidegateError(
    'dead_letter_not_found',
    `There is no dead letter ${text}: GET /api/v1/dead-letters gives each one its name as deadLetter.`,
  );
}

function alreadyClosed(deadLetter: string, closed?: FoundDeadLetter['closed']): TidegateError {
  const how =
    closed === undefined
      ? 'just now'
      : `at ${closed.at} as ${closed.how}${closed.by === undefined ? '' : ` by ${closed.by}`}`;
  return new TidegateError(
    'dead_letter_closed',
    `${deadLetter} was closed ${how}. Nothing was done.`,
  );
}

/** What it holds would be lost, and there are several ways on. */
function decisionNeeded({
  kind,
  deadLetter,
  run,
}: Extract<DeadLetter, { readonly run: unknown }>): TidegateError {
  const ways = kind === 'fused' ? 'retry it, which lets it go on' : 'decide it with skip or abort';
  return new TidegateError(
    'decision_needed',
    `${deadLetter} is the run ${run}, which waits and is not discarded: ${ways} (POST /api/v1/runs/${encodeURIComponent(run)}/decisions).`,
  );
}

function existing(event: TidegateEvent | undefined): TidegateEvent {
  if (event !== undefined) return event;
  throw new TidegateError(
    'not_retriable',
    'The journal does not have the event any more: retention has deleted it. Discard the dead letter.',
  );
}
