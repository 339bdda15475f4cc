/** Where the time of a run goes, and what Temporal has to do for it, from its history. */
import { performance } from 'node:perf_hooks';
import type { Client } from '@temporalio/client';
import {
  actionsOf,
  type Execution,
  executionsOf,
  type HistoryEvent,
  timeOf,
  totalOf,
} from './histories.ts';
import type { SentOrder } from './orders.ts';
import type { Receiver } from './receiver.ts';
import { median } from './statistics.ts';
import { number, printTable } from './table.ts';

/** Whose histories are looked into, the last ones. */
const SAMPLE = 30;

export interface RunsOfSide {
  readonly name: string;
  readonly client: Client;
  readonly workflowId: (order: string) => string;
  readonly calm: readonly SentOrder[];
}

export async function printAnatomy(
  sides: readonly RunsOfSide[],
  receiver: Receiver,
): Promise<void> {
  const columns = await Promise.all(
    sides.map(async (one) => {
      const sample = one.calm.slice(-SAMPLE);
      const looked = await Promise.all(
        sample.map(async (sent) => {
          const query = `WorkflowId = '${one.workflowId(sent.order)}'`;
          const [execution, second] = await executionsOf(one.client, query);
          if (execution === undefined || second !== undefined)
            throw new Error(`not one execution of ${one.workflowId(sent.order)}`);
          return anatomyOf(execution, sent, receiver);
        }),
      );
      return (what: keyof Anatomy): string => number(median(looked.map((each) => each[what])));
    }),
  );
  console.log('');
  printTable(
    ['of one run, median', ...sides.map(({ name }) => name)],
    Object.entries(ANATOMY).map(([what, title]) => [
      title,
      ...columns.map((column) => column(what as keyof Anatomy)),
    ]),
  );
}

const ANATOMY = {
  workflowTasks: 'workflow tasks',
  activities: 'activities',
  localActivities: 'local activities',
  timers: 'timers',
  historyEvents: 'history events',
  bytes: 'history bytes',
  actions: 'billable actions',
  acknowledgedMs: 'sent to 202, ms',
  startedMs: '202 to workflow started, ms',
  firstTaskMs: 'started to first workflow task, ms',
  scheduledMs: 'first workflow task to activity scheduled, ms',
  activityMs: 'scheduled to activity started, ms',
  effectMs: 'activity started to effect, ms',
  closedMs: 'effect to workflow closed, ms',
} as const;
type Anatomy = Readonly<Record<keyof typeof ANATOMY, number>>;

function anatomyOf(execution: Execution, sent: SentOrder, receiver: Receiver): Anatomy {
  const { events, bytes } = execution;
  const count = (isOne: (event: HistoryEvent) => unknown) => events.filter(isOne).length;
  const first = (isOne: (event: HistoryEvent) => unknown) => {
    const found = events.find(isOne);
    return found === undefined ? Number.NaN : timeOf(found);
  };
  const wall = (at: number) => performance.timeOrigin + at;
  const effectAt = wall(receiver.effects.get(sent.order)?.at ?? Number.NaN);
  const startedAt = first((event) => event.workflowExecutionStartedEventAttributes);
  const taskAt = first((event) => event.workflowTaskStartedEventAttributes);
  const scheduledAt = first((event) => event.activityTaskScheduledEventAttributes);
  const activityAt = first((event) => event.activityTaskStartedEventAttributes);
  return {
    workflowTasks: count((event) => event.workflowTaskCompletedEventAttributes),
    activities: count((event) => event.activityTaskCompletedEventAttributes),
    localActivities: count(
      ({ markerRecordedEventAttributes: marker }) => marker?.markerName === 'core_local_activity',
    ),
    timers: count((event) => event.timerStartedEventAttributes),
    historyEvents: events.length,
    bytes,
    actions: totalOf(actionsOf(execution)),
    acknowledgedMs: sent.acceptedAt - sent.sentAt,
    startedMs: startedAt - wall(sent.acceptedAt),
    firstTaskMs: taskAt - startedAt,
    scheduledMs: scheduledAt - taskAt,
    activityMs: activityAt - scheduledAt,
    effectMs: effectAt - activityAt,
    closedMs: timeOf(events.at(-1) ?? {}) - effectAt,
  };
}
