import { performance } from 'node:perf_hooks';
import { ApplicationFailure } from '@temporalio/common';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { OperationActivity } from '../activities/run-operation.ts';
import type { IngressObserver } from '../ingress/observer.ts';
import { ERROR_CLASSES } from '../model/error.ts';
import type { JournalActivities } from '../model/protocol.ts';
import { parseRunId, type RunId } from '../model/run.ts';

export interface WorkerMetrics {
  /** Counts and measures the attempts of operations. */
  readonly operating: (
    activities: Readonly<Record<string, OperationActivity>>,
  ) => Readonly<Record<string, OperationActivity>>;
  /** Counts what runs note in the journal: parks and settlements. */
  readonly noting: (activities: JournalActivities) => JournalActivities;
  /** Told of this build's standing, where the worker has a build id. */
  readonly standing: (build: {
    readonly deployment: string;
    readonly buildId: string;
    readonly standing: string;
  }) => void;
  /** Told what became of what flows emit. */
  readonly observer: Pick<IngressObserver, 'decided'>;
}

export function workerMetrics(registry: Registry): WorkerMetrics {
  const registers = [registry];
  const attempts = new Counter({
    name: 'tidegate_operation_attempts_total',
    help: 'Attempts of operations: succeeded, retried later, failed for good, or cancelled.',
    labelNames: ['connector', 'operation', 'outcome', 'error_class'],
    registers,
  });
  const operations = new Counter({
    name: 'tidegate_operations_total',
    help: 'Operations that came to an end: succeeded, or failed for good in an error class.',
    labelNames: ['connector', 'operation', 'outcome', 'error_class'],
    registers,
  });
  const durations = new Histogram({
    name: 'tidegate_operation_attempt_duration_seconds',
    help: 'How long one attempt took.',
    labelNames: ['connector', 'operation'],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  });
  const parks = new Counter({
    name: 'tidegate_parks_total',
    help: 'Runs that stopped to ask a person, by flow and error class; none where nothing had failed.',
    labelNames: ['flow', 'error_class'],
    registers,
  });
  const settlements = new Counter({
    name: 'tidegate_settlements_total',
    help: 'Windows of deliveries that runs have settled, by flow and outcome.',
    labelNames: ['flow', 'outcome'],
    registers,
  });
  const emitted = new Counter({
    name: 'tidegate_emitted_events_total',
    help: 'Events that flows emitted, by what became of them; the type is one of the contracts, or other.',
    labelNames: ['type', 'status'],
    registers,
  });

  const build = new Gauge({
    name: 'tidegate_worker_build_info',
    help: 'Always 1: the build of this worker and its standing: current, ramping, other or none is current.',
    labelNames: ['deployment', 'build_id', 'standing'],
    registers,
  });

  const measured =
    (activity: OperationActivity, isKnown: boolean): OperationActivity =>
    async (call) => {
      // A name that no connector has comes from a flow, not from this worker.
      const { connector, operation } = isKnown ? call : { connector: 'other', operation: 'other' };
      const startedAt = performance.now();
      const note = ({ outcome, errorClass }: AttemptOutcome): void => {
        const labels = { connector, operation, outcome, error_class: errorClass };
        attempts.inc(labels);
        if (outcome === 'succeeded' || outcome === 'failed') operations.inc(labels);
        durations.observe({ connector, operation }, (performance.now() - startedAt) / 1_000);
      };
      try {
        const result = await activity(call);
        note({ outcome: 'succeeded', errorClass: 'none' });
        return result;
      } catch (error) {
        note(outcomeOf(error));
        throw error;
      }
    };
  return {
    operating: (activities) =>
      Object.fromEntries(
        Object.entries(activities).map(([name, activity]) => [
          name,
          measured(activity, name !== 'default'),
        ]),
      ),
    noting: (activities) => ({
      ...activities,
      async 'journal.park'(input) {
        await activities['journal.park'](input);
        parks.inc({ flow: flowOf(input.run), error_class: input.errorClass ?? 'none' });
      },
      async 'journal.settle'(input) {
        await activities['journal.settle'](input);
        settlements.inc({ flow: flowOf(input.run), outcome: input.outcome });
      },
    }),
    standing({ deployment, buildId, standing }) {
      build.reset();
      build.set({ deployment, build_id: buildId, standing }, 1);
    },
    observer: {
      decided: (type, status) => emitted.inc({ type: type ?? 'other', status }),
    },
  };
}

const flowOf = (run: RunId): string => parseRunId(run)?.flow ?? 'other';

interface AttemptOutcome {
  readonly outcome: 'succeeded' | 'retried' | 'failed' | 'cancelled';
  readonly errorClass: string;
}

/** What an operation's activity throws says what follows: see `operationActivities`. */
function outcomeOf(error: unknown): AttemptOutcome {
  if (!(error instanceof ApplicationFailure)) return { outcome: 'cancelled', errorClass: 'none' };
  const errorClass = ERROR_CLASSES.find((each) => each === error.type) ?? 'unknown';
  return { outcome: error.nonRetryable === true ? 'failed' : 'retried', errorClass };
}
