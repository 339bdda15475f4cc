/** What runs have left in Temporal, and what Temporal Cloud would bill for it. */
import type { Client, WorkflowHandle } from '@temporalio/client';

const PAGE_EVENTS = 5;

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
export type HistoryEvent = NonNullable<History['events']>[number];

/** One execution: a run that continued as new has several. */
export interface Execution {
  readonly workflowId: string;
  readonly type: string;
  readonly isRunning: boolean;
  readonly bytes: number;
  readonly events: readonly HistoryEvent[];
}

/** The executions that a query of Temporal's visibility finds, the oldest first. */
export async function executionsOf(client: Client, query: string): Promise<readonly Execution[]> {
  const found: Execution[] = [];
  for await (const { workflowId, runId, type, status, historySize } of client.workflow.list({
    query,
  })) {
    found.push({
      workflowId,
      type,
      isRunning: status.name === 'RUNNING',
      bytes: historySize ?? Number.NaN,
      events: await eventsOf(client, { workflowId, runId }),
    });
  }
  return found.toReversed();
}

/** Page by page: a few calls of a hot key are more than the 4 MB that gRPC takes at a time. */
async function eventsOf(
  { workflowService, options: { namespace } }: Client,
  execution: { readonly workflowId: string; readonly runId: string },
): Promise<readonly HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await workflowService.getWorkflowExecutionHistory({
      namespace,
      execution,
      maximumPageSize: PAGE_EVENTS,
      ...(nextPageToken && { nextPageToken }),
    });
    events.push(...(page.history?.events ?? []));
    nextPageToken = page.nextPageToken?.length ? page.nextPageToken : undefined;
  } while (nextPageToken !== undefined);
  return events;
}

export const signalsOf = ({ events }: Execution): number =>
  events.filter((event) => event.workflowExecutionSignaledEventAttributes).length;

/** Temporal Cloud's billable actions, by what causes them. */
export interface Actions {
  /** By a client, by signalWithStart with its signal, or by continue-as-new. */
  readonly starts: number;
  /** Without those that came with a start. */
  readonly signals: number;
  readonly timers: number;
  /** Attempts of activities. */
  readonly activities: number;
  /** Workflow tasks that recorded a marker: what one of them records of local activities and patches is one action. */
  readonly markers: number;
  /** Of search attributes. */
  readonly upserts: number;
  readonly updates: number;
}

/**
 * The actions that a history shows, by Temporal's definition: https://docs.temporal.io/cloud/actions.
 * It does not show queries, heartbeats and updates that were rejected.
 */
export function actionsOf({ events }: Execution): Actions {
  const count = (isOne: (event: HistoryEvent) => unknown): number => events.filter(isOne).length;
  const [started, second] = events;
  const isContinued = Boolean(
    started?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId,
  );
  const cameWithStart = !isContinued && second?.workflowExecutionSignaledEventAttributes ? 1 : 0;
  const tasksWithMarkers = new Set(
    events.flatMap(({ markerRecordedEventAttributes: marker }) =>
      marker ? [String(marker.workflowTaskCompletedEventId)] : [],
    ),
  );
  return {
    starts: count((event) => event.workflowExecutionStartedEventAttributes),
    signals: count((event) => event.workflowExecutionSignaledEventAttributes) - cameWithStart,
    timers: count((event) => event.timerStartedEventAttributes),
    activities: events.reduce(
      (attempts, event) => attempts + (event.activityTaskStartedEventAttributes?.attempt ?? 0),
      0,
    ),
    markers: tasksWithMarkers.size,
    upserts: count(
      (event) => event.upsertWorkflowSearchAttributesEventAttributes && !isPatch(event),
    ),
    updates: count((event) => event.workflowExecutionUpdateAcceptedEventAttributes),
  };
}

/** What the SDK upserts beside a patch is exempt. */
const isPatch = (event: HistoryEvent): boolean =>
  Object.keys(
    event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? {},
  ).includes('TemporalChangeVersion');

export const totalOf = (actions: Actions): number =>
  Object.values(actions).reduce((total: number, count: number) => total + count, 0);

/** Milliseconds since 1970, with their fraction. */
export const timeOf = ({ eventTime }: HistoryEvent): number =>
  Number(eventTime?.seconds ?? Number.NaN) * 1_000 + Number(eventTime?.nanos ?? 0) / 1e6;
