import { performance } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Access } from '../access/authenticate.ts';
import { classifyCallFailure, type Deliver } from '../dispatch/deliver.ts';
import type { IngressObserver } from '../ingress/observer.ts';
import type { Refusals } from '../ingress/refusals.ts';
import type { ShedState } from '../ingress/shedding.ts';
import type { DeadLetterCounts } from '../journal/dead-letters.ts';
import type { Backlog } from '../journal/journal.ts';
import type { OldSenders } from '../model/contract.ts';

/** What the ingress's series are read from when somebody scrapes: nothing here asks the journal. */
export interface IngressReadings {
  readonly refusals: Pick<Refusals, 'counts'>;
  readonly oldSenders: Pick<OldSenders, 'list' | 'unlistedCount'>;
  readonly refusedCallers: Access['counts'];
  /** What the journal said last, and when in milliseconds since 1970. */
  readonly backlog: () => { readonly value: Backlog; readonly atMs: number } | undefined;
  readonly deadLetters: () => { readonly value: DeadLetterCounts } | undefined;
  readonly shedState: () => ShedState;
  readonly lanesHeld: () => number;
  readonly connections: () => Promise<number>;
}

export interface IngressMetrics {
  readonly observer: IngressObserver;
  /** Measures a commit of the journal. */
  readonly committing: <Result>(commit: Promise<Result>) => Promise<Result>;
  /** Counts and measures the calls of a dispatcher. */
  readonly delivering: (deliver: Deliver) => Deliver;
  readonly connectionDropped: () => void;
  /** By how much a timer came late. */
  readonly eventLoopDelay: (seconds: number) => void;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60];

export function ingressMetrics(registry: Registry, readings: IngressReadings): IngressMetrics {
  const registers = [registry];
  readFromElsewhere(registry, readings);
  const events = new Counter({
    name: 'tidegate_events_total',
    help: 'Events by what became of them; the type is one of the contracts, or other.',
    labelNames: ['type', 'status'],
    registers,
  });
  const requests = new Histogram({
    name: 'tidegate_http_request_duration_seconds',
    help: 'Requests from their head to the end of their answer.',
    labelNames: ['route', 'status'],
    buckets: SECONDS,
    registers,
  });
  const commits = new Histogram({
    name: 'tidegate_commit_duration_seconds',
    help: 'Commits of events to the journal, with the time that they wait for their group.',
    buckets: SECONDS,
    registers,
  });
  const shed = new Counter({
    name: 'tidegate_shed_requests_total',
    help: 'Requests answered 503 backlog_full by the priority that they had and by what was too much.',
    labelNames: ['priority', 'cause'],
    registers,
  });
  const limited = new Counter({
    name: 'tidegate_rate_limited_requests_total',
    help: 'Requests answered 429 rate_limited by whose limit it was.',
    labelNames: ['by'],
    registers,
  });
  const dropped = new Counter({
    name: 'tidegate_connections_dropped_total',
    help: 'Connections closed as they came, because there were too many.',
    registers,
  });
  const calls = new Counter({
    name: 'tidegate_dispatch_calls_total',
    help: 'Calls that hand deliveries to Temporal: delivered, outage, busy or refused.',
    labelNames: ['outcome'],
    registers,
  });
  const callSeconds = new Histogram({
    name: 'tidegate_dispatch_call_duration_seconds',
    help: 'How long these calls take.',
    buckets: SECONDS,
    registers,
  });
  const delivered = new Counter({
    name: 'tidegate_dispatched_deliveries_total',
    help: 'Deliveries handed to Temporal.',
    registers,
  });

  const delay = new Histogram({
    name: 'tidegate_event_loop_delay_seconds',
    help: 'By how much a timer that ticks ten times a second came late.',
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5],
    registers,
  });

  return {
    observer: {
      answered: (route, status, seconds) => requests.observe({ route, status }, seconds),
      decided: (type, status) => events.inc({ type: type ?? 'other', status }),
      shed: (priority, cause) => shed.inc({ priority, cause }),
      limited: (by) => limited.inc({ by }),
    },
    async committing(commit) {
      const startedAt = performance.now();
      try {
        return await commit;
      } finally {
        commits.observe((performance.now() - startedAt) / 1_000);
      }
    },
    delivering:
      (deliver) =>
      async (run, parts, batch, ...rest) => {
        const startedAt = performance.now();
        try {
          const execution = await deliver(run, parts, batch, ...rest);
          calls.inc({ outcome: 'delivered' });
          delivered.inc(batch.length);
          return execution;
        } catch (error) {
          calls.inc({ outcome: classifyCallFailure(error).kind });
          throw error;
        } finally {
          callSeconds.observe((performance.now() - startedAt) / 1_000);
        }
      },
    connectionDropped: () => dropped.inc(),
    eventLoopDelay: (seconds) => delay.observe(seconds),
  };
}

/** Series whose numbers others keep. */
function readFromElsewhere(registry: Registry, readings: IngressReadings): void {
  const registers = [registry];
  for (const [name, help, field] of [
    ['tidegate_refused_deliveries_total', 'Webhooks refused, by source and cause.', 'count'],
    ['tidegate_refused_delivery_bytes_total', 'The bytes of their bodies.', 'bytes'],
  ] as const) {
    new Counter({
      name,
      help,
      labelNames: ['source', 'cause'],
      registers,
      collect() {
        this.reset();
        for (const { source, cause, ...counted } of readings.refusals.counts()) {
          this.inc({ source, cause }, counted[field]);
        }
      },
    });
  }
  new Counter({
    name: 'tidegate_refused_callers_total',
    help: 'Requests whose credential was refused, by cause.',
    labelNames: ['cause'],
    registers,
    collect() {
      this.reset();
      for (const { cause, count } of readings.refusedCallers()) this.inc({ cause }, count);
    },
  });
  new Counter({
    name: 'tidegate_old_version_events_total',
    help: 'Events in an old version of their contract, by who sent them.',
    labelNames: ['source', 'type', 'version'],
    registers,
    collect() {
      this.reset();
      for (const { source, type, version, count } of readings.oldSenders.list()) {
        this.inc({ source, type, version }, count);
      }
      const unlisted = readings.oldSenders.unlistedCount();
      if (unlisted > 0) this.inc({ source: 'other', type: 'other', version: 'other' }, unlisted);
    },
  });
  const gauge = (name: string, help: string, value: () => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const read = value();
        if (read !== undefined) this.set(read);
      },
    });
  const { backlog } = readings;
  gauge(
    'tidegate_backlog_runs',
    'Runs with deliveries to send, at most 10,000.',
    () => backlog()?.value.runs,
  );
  gauge(
    'tidegate_backlog_deliveries',
    'Deliveries that wait to be sent; beyond 10,000 runs an upper estimate.',
    () => backlog()?.value.deliveries,
  );
  gauge('tidegate_backlog_oldest_age_seconds', 'How long the oldest of them has waited.', () =>
    seconds(backlog()?.value.oldestAgeMs),
  );
  gauge(
    'tidegate_backlog_measured_timestamp_seconds',
    'When the journal was last asked for these, seconds since 1970.',
    () => seconds(backlog()?.atMs),
  );
  gauge('tidegate_lanes_held', 'Lanes that this process dispatches, of 64.', readings.lanesHeld);
  new Gauge({
    name: 'tidegate_connections',
    help: 'Open connections.',
    registers,
    async collect() {
      this.set(await readings.connections());
    },
  });
  new Gauge({
    name: 'tidegate_dead_letters_open',
    help: 'Dead letters that wait for a person by kind, each counted to 10,000.',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const [kind, count] of Object.entries(readings.deadLetters()?.value ?? {})) {
        this.set({ kind }, count);
      }
    },
  });
  new Gauge({
    name: 'tidegate_shed_level',
    help: 'How many priorities are refused by cause: 0 none, 1 low, 2 normal too, 3 all.',
    labelNames: ['cause'],
    registers,
    collect() {
      for (const [cause, level] of Object.entries(readings.shedState())) this.set({ cause }, level);
    },
  });
}

const seconds = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : ms / 1_000;
