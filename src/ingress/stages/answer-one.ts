import type { ErrorCode } from '../../model/error.ts';
import { TidegateError } from '../../model/error.ts';
import type { Decision, IngressContext, Intake } from '../exchange.ts';
import { tellDecided } from './tell-decided.ts';

/**
 * What the sender of one event is told with a status of its own, because he can mend it. What is not
 * even an event is not kept; the rest waits as a dead letter.
 */
const TOLD_WITH_STATUS: ReadonlyMap<ErrorCode, 'kept' | 'not kept'> = new Map([
  ['invalid_event', 'not kept'],
  ['event_too_large', 'not kept'],
  ['tenant_forbidden', 'not kept'],
  ['type_forbidden', 'not kept'],
  ['contract_violation', 'kept'],
  ['unknown_version', 'kept'],
  ['version_retired', 'kept'],
]);

/** Ends a request of one event that is refused with a status; every other goes on to the commit. */
export async function answerOne(
  { answersFor }: Intake,
  decisions: readonly Decision[],
  context: IngressContext,
): Promise<void> {
  const [decision] = decisions;
  if (answersFor !== 'one event' || decision?.kind !== 'refused') return;
  const keeping = TOLD_WITH_STATUS.get(decision.code);
  if (keeping === undefined) return;
  if (keeping === 'kept') await context.journal.reject([decision.rejection]);
  tellDecided(decision, 'rejected', context);
  const { message, errors } = decision.rejection;
  throw new TidegateError(decision.code, message, {
    ...(errors === undefined ? {} : { details: { errors } }),
  });
}
