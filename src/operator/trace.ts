import { callerOf } from '../access/authenticate.ts';
import type { Journal } from '../journal/journal.ts';
import type { EventRow, Paged, ParkRow, RunRow, SettlementRow } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import { chainsOf } from './chains.ts';
import { type Handler, pathParameter } from './handler.ts';
import { runLinks, type ShownRun, type TemporalWeb } from './runs.ts';

/** One thing that happened in a story. */
export interface TraceStep {
  /** When, RFC 3339. */
  readonly at: string;
  readonly what:
    | 'received'
    | 'opened'
    | 'undelivered'
    | 'fused'
    | 'parked'
    | 'answered'
    | 'decided'
    | 'settled';
  /** What happened, as a sentence for people. */
  readonly text: string;
  readonly eventId?: string;
  readonly run?: RunId;
}

/** A story: what happened to events with one correlation id, and the runs that they went to. */
export interface Trace {
  readonly correlationId: string;
  readonly steps: readonly TraceStep[];
  /** By which runs it went on where flows emitted events: `orderSync(7) → crmSync(7)`. */
  readonly chains: readonly string[];
  readonly runs: readonly Pick<ShownRun, 'run' | 'status' | 'links'>[];
  /** Whether there is more than is told. */
  readonly truncated: boolean;
}

/** `GET /trace/:correlationId`: the story that events with this correlation id belong to, in time order. */
export const showTrace =
  (journal: Journal, web: TemporalWeb): Handler =>
  async (request): Promise<Trace> => {
    const correlationId = pathParameter(request, 'correlationId');
    const { tenant } = callerOf(request);
    const events = await journal.listEvents(
      { correlationId, ...(tenant !== null && { tenant }) },
      { limit: LIMITS.pageRowsMax },
    );
    if (events.rows.length === 0) {
      throw new TidegateError(
        'event_not_found',
        `The journal has no event with the correlation id ${correlationId}.`,
      );
    }
    const runs = await runsOf(journal, events);
    return {
      correlationId,
      steps: traceOf(events.rows.toReversed(), runs.rows),
      chains: chainsOf(events.rows.toReversed()),
      runs: runs.rows.map((row) => ({
        run: row.run,
        status: row.status,
        links: runLinks(row, web),
      })),
      truncated: events.next !== undefined || runs.truncated,
    };
  };

async function runsOf(journal: Journal, events: Paged<EventRow>) {
  const ids = [...new Set(events.rows.flatMap((row) => row.deliveries.map(({ run }) => run)))];
  const found = await Promise.all(
    ids.slice(0, LIMITS.traceRunsMax).map((run) => journal.findRun(run)),
  );
  return {
    rows: found.filter((row) => row !== undefined),
    truncated: ids.length > LIMITS.traceRunsMax,
  };
}

/**
 * The story of some events, given in the order they came, in time order. A run can be older than the story and serve others too:
 * of it, only what happened since the first of these events is told, and only these events'
 * settlements.
 */
export function traceOf(
  events: readonly EventRow[],
  runs: readonly RunRow[],
): readonly TraceStep[] {
  const begin = Math.min(...events.map(({ receivedAt }) => Date.parse(receivedAt)));
  const steps = [
    ...events.map(received),
    ...runs.flatMap(runSteps).filter(({ at }) => Date.parse(at) >= begin),
    ...settlements(events),
  ];
  return steps.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

function received({
  event,
  status,
  reason,
  receivedAt,
  duplicates,
  deliveries,
}: EventRow): TraceStep {
  const runs = deliveries.map(({ run, number }) => `${run} as its delivery ${number}`).join(', ');
  const became = {
    accepted: runs === '' ? 'was accepted' : `was accepted and goes to ${runs}`,
    filtered: 'was filtered: no flow that takes the type wants it',
    unrouted: 'was kept, but no flow takes the type',
    echo: 'was kept, but goes to no flow: it is the echo of our own write',
    looped: 'was kept, but goes to no flow: its story runs in a circle',
  }[status];
  const why = reason === undefined ? '' : ` (${reason})`;
  const again =
    duplicates === 0 ? '' : ` It came ${times(duplicates)} more, which changed nothing.`;
  return {
    at: receivedAt,
    what: 'received',
    text: `${event.type} ${event.id} came from ${event.source} and ${became}${why}.${again}`,
    eventId: event.id,
  };
}

function runSteps(row: RunRow): TraceStep[] {
  const { run, openedAt, updatedAt, dispatchError, fuseTrippedAt, park } = row;
  const opened: TraceStep[] =
    openedAt === undefined
      ? []
      : [{ at: openedAt, what: 'opened', text: `The run ${run} began in Temporal.`, run }];
  const undelivered: TraceStep[] =
    dispatchError === undefined
      ? []
      : [
          {
            at: updatedAt,
            what: 'undelivered',
            text: `Deliveries to ${run} could not be sent to Temporal yet: ${dispatchError}`,
            run,
          },
        ];
  const fused: TraceStep[] =
    fuseTrippedAt === undefined
      ? []
      : [{ at: fuseTrippedAt, what: 'fused', text: fusedText(row), run }];
  return [...opened, ...undelivered, ...fused, ...(park === undefined ? [] : parkSteps(run, park))];
}

const fusedText = ({ run, acceptedThrough, sentThrough }: RunRow): string =>
  `The fuse of ${run} tripped: flows gave it too much. ${acceptedThrough - sentThrough} deliveries are held until an operator resumes it.`;

function parkSteps(run: RunId, park: ParkRow): TraceStep[] {
  const { decision, decidedAt, voices } = park;
  const asked: TraceStep[] = [
    { at: park.parkedAt, what: 'parked', text: askedText(run, park), run },
    ...voices.map(
      (voice): TraceStep => ({
        at: new Date(voice.at).toISOString(),
        what: 'answered',
        text: `${voice.approver} said ${voice.action}${becauseOf(voice.reason)}`,
        run,
      }),
    ),
  ];
  if (decision === undefined || decidedAt === undefined) return asked;
  const text =
    decision.action === 'expired'
      ? `Nobody decided about ${park.step} in time${becauseOf(decision.reason)}`
      : `${decision.actor} decided to ${decision.action}${becauseOf(decision.reason)}`;
  return [...asked, { at: decidedAt, what: 'decided', text, run }];
}

function askedText(run: RunId, { step, errorClass, reason, question }: ParkRow): string {
  if (question?.kind === 'approval') {
    const { approvers, need } = question;
    return `${run} asks ${approvers.join(', ')} at ${step}: ${question.title} (it takes ${need} of ${approvers.length}).`;
  }
  const why = errorClass === undefined ? reason : `${errorClass}: ${reason}`;
  return `${run} stopped at ${step} (${why}) and waits for a person.`;
}

const becauseOf = (reason: string): string => (reason === '' ? '.' : `: ${reason}`);

/** A window settles many deliveries at once; it is told once. */
function settlements(events: readonly EventRow[]): TraceStep[] {
  const told = new Map<string, TraceStep>();
  for (const { run, settlement } of events.flatMap((row) => row.deliveries)) {
    if (settlement === undefined) continue;
    told.set(`${settlement.fromNumber} ${run}`, settled(run, settlement));
  }
  return [...told.values()];
}

function settled(run: RunId, settlement: SettlementRow): TraceStep {
  const { fromNumber, throughNumber, outcome, reason, window, settledAt } = settlement;
  const numbers =
    fromNumber === throughNumber
      ? `delivery ${fromNumber}`
      : `deliveries ${fromNumber} to ${throughNumber}`;
  const how = {
    completed: 'completed',
    suppressed: 'had nothing left to do for',
    skipped: 'was made to skip',
    aborted: 'was aborted with',
    cancelled: 'was cancelled with',
    lost: 'ended outside its control and lost',
    undeliverable: 'went on without',
  }[outcome];
  const closed =
    window === undefined ? '' : ` in a window of ${window.count}, closed by ${window.closedBy}`;
  const why = reason === undefined ? '' : `: ${reason}`;
  return {
    at: settledAt,
    what: 'settled',
    text: `${run} ${how} ${numbers}${closed}${why}.`,
    run,
  };
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
