/** The way in for flows: the stages of HTTP, in the worker's process. */
import { ApplicationFailure } from '@temporalio/common';
import type { Journal } from '../journal/journal.ts';
import type { ErrorClass } from '../model/error.ts';
import type { JournalledStatus, Json } from '../model/event.ts';
import { LIMITS } from '../model/limits.ts';
import type { EmitActivities, EmitInput, Emitted } from '../model/protocol.ts';
import { textProblem, utf8Bytes } from '../model/run.ts';
import type { Candidate, EventResult, IngressContext } from './exchange.ts';
import { ingest } from './pipeline.ts';
import { sha256 } from './refusal.ts';
import type { Committed } from './stages/commit.ts';

export interface EmitContext extends IngressContext {
  readonly journal: IngressContext['journal'] & Pick<Journal, 'findEvents'>;
}

/** The activity by which flows emit. It is tried again until the journal takes the event or refuses it. */
export const emitActivities = (context: EmitContext): EmitActivities => ({
  'tidegate.emit': (input) => emit(input, context),
});

async function emit(input: EmitInput, context: EmitContext): Promise<Emitted> {
  const id = eventId(input.identity);
  // There is no status to tell a refusal with: it comes as a result.
  const intake = { answersFor: 'several events', candidates: [candidate(input, id)] } as const;
  const [{ result }] = (await ingest(intake, context)) as readonly [Committed];
  switch (result.status) {
    case 'rejected':
      throw rejected(input, result);
    case 'duplicate':
      return { id, status: notEcho(await firstStatus(input, id, context)) };
    default:
      return { id, status: notEcho(result.status) };
  }
}

/** Readable where it can be: run, delivery and step. */
const eventId = (identity: string): string =>
  identity.length <= LIMITS.attributeCharactersMax && textProblem(identity) === undefined
    ? identity
    : `sha256:${sha256(identity)}`;

function candidate({ event: { data, ...attributes } }: EmitInput, id: string): Candidate {
  const json = (data ?? null) as Json;
  return {
    kind: 'candidate',
    attributes: { ...attributes, specversion: '1.0', id },
    data: json,
    requestBytes: utf8Bytes(JSON.stringify(json)),
    isOurs: true,
  };
}

/** What an earlier attempt came to, whose answer was lost. */
async function firstStatus(
  { event: { tenantid, source } }: EmitInput,
  id: string,
  { journal }: EmitContext,
): Promise<JournalledStatus> {
  const found = await journal.findEvents(tenantid, id);
  const first = found.find(({ event }) => event.source === source);
  if (first === undefined) throw new Error(`${id} of ${source} is a duplicate of nothing`);
  return first.status;
}

function notEcho(status: JournalledStatus): Emitted['status'] {
  if (status === 'echo') throw new Error('what a flow emits cannot be an echo of it');
  return status;
}

/** Names paths and no values: the failure stands in histories and logs. */
function rejected(
  { event: { type }, step }: EmitInput,
  { reason: code, errors = [] }: EventResult,
): ApplicationFailure {
  const paths = errors.map(({ path }) => path);
  const where = paths.length === 0 ? '' : ` at ${paths.slice(0, 10).join(', ')}`;
  return ApplicationFailure.create({
    message: `${step} emitted ${type}, which was rejected: ${code}${where}. Mend what it emits, or events.ts and the flows that take it, then retry the run; the event is kept under /api/v1/dead-letters.`,
    type: 'fatal' satisfies ErrorClass,
    nonRetryable: true,
    details: [{ code, paths }],
  });
}
