import type { EventTypesOf } from '../model/contract.ts';
import { type Duration, durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import {
  type Concurrency,
  type Flow,
  type FlowLimits,
  type Fuse,
  ORIGINS,
  type Origin,
  type Throttle,
  VERSIONINGS,
  type Versioning,
  WHEN_UNDELIVERABLE,
  type WhenUndeliverable,
} from '../model/flow-registry.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunInput } from '../model/protocol.ts';
import type { FlowBody } from './body.ts';
import type { Inbox } from './inbox.ts';
import { runFlow } from './run.ts';
import { isVersioned } from './worker-versioning.ts';

type OneOf<On> = On extends readonly (infer Type)[] ? Type : On;

/** The event of a type, from a catalogue's data types; a union of types gives a discriminated union. */
export type EventIn<Types, Type> = Type extends keyof Types & string
  ? TidegateEvent<Type, Types[Type]>
  : never;

/** The event of a type, from a project's catalogue: `EventOf<typeof events, 'order.placed'>`. */
export type EventOf<Catalogue, Type extends keyof EventTypesOf<Catalogue> & string> = EventIn<
  EventTypesOf<Catalogue>,
  Type
>;

/** A flow: a routing head, read at the ingress, and a body, run durably. */
export interface FlowDefinition<Event extends TidegateEvent, On> {
  /** The event type or types that the flow takes. */
  readonly on: On;
  /** The team that is asked when a run needs a person. */
  readonly owner?: string;
  /** What to do when a run needs a person: a path or URL. */
  readonly runbook?: string;
  /** How soon a run should be settled, and for which share of runs. */
  readonly slo?: { readonly within: Duration; readonly target: number };
  /** One line for people, shown in the Temporal Web UI. @default the flow's name */
  readonly summary?: string;
  /** Whether an event matters. Pure and synchronous; runs at the ingress, never during replay. @default every event matters */
  readonly where?: (event: Event) => boolean;
  /**
   * Who may have made an event: `human`, `system`, or `flow` for what flows emit. Others are `filtered`,
   * before `where` is asked. @default anybody
   */
  readonly origin?: Origin | readonly Origin[];
  /**
   * How many events that flows made a run may be given: at most `limit` (from 1 to 10,000) in any time of
   * `per`. With one more, everything for the run is held, in order, until an operator resumes it. Events
   * of people and of other systems do not count. `false`: it never trips. @default 1,000 in '1h'
   */
  readonly fuse?: { readonly limit: number; readonly per: Duration } | false;
  /**
   * Which run an event belongs to. Pure and synchronous; runs at the ingress. Runs of one key never
   * overlap. @default one run per event
   */
  readonly key?: (event: Event) => string;
  /**
   * How often runs may begin: at most `limit` (from 1 to 10,000) in any time of `per` (from 1 s), in
   * each tenant. More wait in the journal, the oldest first; none is dropped. @default no limit
   *
   * `by` gives each of its values a limit of its own, such as one for each customer. Pure and
   * synchronous; runs at the ingress, and counts for the event that opens the run.
   */
  readonly throttle?: {
    readonly limit: number;
    readonly per: Duration;
    readonly by?: (event: Event) => string;
  };
  /**
   * How many runs may be open at a time: at most `limit` (from 1 to 10,000), in each tenant. A run is
   * open from its first event until everything of it is settled, also while it waits or is parked.
   * More wait in the journal, the oldest first; none is dropped. @default no limit
   *
   * `by` as in `throttle`.
   */
  readonly concurrency?: { readonly limit: number; readonly by?: (event: Event) => string };
  /**
   * What becomes of later events of a key when Temporal refuses one of them, however often it is sent: `hold`,
   * they wait until a person has decided about it, so that their order is kept; `go-on`, they are sent
   * without it. Either way it is a dead letter, `undeliverable`. @default 'hold'
   */
  readonly whenUndeliverable?: WhenUndeliverable;
  /**
   * Which build of the workers a run goes on with after a deploy, where workers have a build id. `pinned`:
   * the one that began it, which has to run until then. `auto-upgrade`: the current one, with {@link patched}
   * where the body has changed; for runs that wait long. @default 'pinned'
   */
  readonly versioning?: Versioning;
  /**
   * What to do. `first` opened the run and is the head of `inbox`. Runs in Temporal's workflow
   * sandbox, so it must be deterministic: no I/O but through connectors.
   */
  readonly run: (first: Event, inbox: Inbox<Event>) => Promise<unknown>;
}

/**
 * `flow()` for a project's catalogue of events. Curried, because TypeScript cannot infer the events
 * of one flow while it is given the catalogue.
 *
 * @throws TidegateError `flow_invalid` when a definition cannot be a flow.
 * @example
 * ```ts
 * import type { events } from '../events';
 * import { flowsFor } from 'tidegate/flow';
 * const flow = flowsFor<typeof events>();
 * export const welcome = flow({ on: 'user.created', run: async ({ data }) => data.name });
 * ```
 */
export function flowsFor<Catalogue>() {
  type Types = EventTypesOf<Catalogue>;
  type KnownEventType = keyof Types & string;
  return function flow<const On extends KnownEventType | readonly KnownEventType[]>(
    definition: FlowDefinition<EventIn<Types, OneOf<On>>, On>,
  ): Flow {
    return defineFlow(definition as unknown as FlowDefinition<TidegateEvent, string>);
  };
}

function defineFlow(definition: FlowDefinition<TidegateEvent, string | readonly string[]>): Flow {
  const {
    run,
    on,
    slo,
    origin,
    fuse,
    throttle,
    concurrency,
    versioning,
    whenUndeliverable,
    ...head
  } = definition;
  const types = typeof on === 'string' ? [on] : on;
  if (
    !Array.isArray(types) ||
    types.length === 0 ||
    types.some((type) => typeof type !== 'string')
  ) {
    throw new TidegateError('flow_invalid', 'a flow needs `on`: an event type, or a list of them');
  }
  if (typeof run !== 'function') {
    throw new TidegateError(
      'flow_invalid',
      `the flow on ${types.join(', ')} has no \`run\` function`,
    );
  }
  if (slo !== undefined) {
    durationMs(slo.within, 'slo.within');
    if (!(slo.target > 0 && slo.target <= 1)) {
      throw new TidegateError(
        'flow_invalid',
        `slo.target is a share from 0 to 1, got ${slo.target}`,
      );
    }
  }
  const guards = {
    ...(origin !== undefined && { origin: originsOf(types, origin) }),
    ...(fuse !== undefined && { fuse: fuseOf(types, fuse) }),
    ...(versioning !== undefined && { versioning: versioningOf(types, versioning) }),
    ...(whenUndeliverable !== undefined && {
      whenUndeliverable: whenUndeliverableOf(types, whenUndeliverable),
    }),
  };
  const limits = flowLimits(types, { throttle, concurrency });
  const workflow = (input: RunInput): Promise<unknown> => runFlow(run as FlowBody, input);
  return Object.assign(workflow, {
    ...(isVersioned &&
      versioning !== undefined && {
        workflowDefinitionOptions: { versioningBehavior: BEHAVIORS[versioning] },
      }),
    head: { ...head, on: types, ...(slo === undefined ? {} : { slo }), ...guards, ...limits },
  });
}

const BEHAVIORS = { pinned: 'PINNED', 'auto-upgrade': 'AUTO_UPGRADE' } as const;

type Guards = FlowDefinition<TidegateEvent, string>;

function versioningOf(types: readonly string[], versioning: Versioning): Versioning {
  if (VERSIONINGS.includes(versioning)) return versioning;
  throw new TidegateError(
    'flow_invalid',
    `versioning of the flow on ${types.join(', ')} must be one of ${VERSIONINGS.join(', ')}, got ${JSON.stringify(versioning)}`,
  );
}

function whenUndeliverableOf(types: readonly string[], rule: WhenUndeliverable): WhenUndeliverable {
  if (WHEN_UNDELIVERABLE.includes(rule)) return rule;
  throw new TidegateError(
    'flow_invalid',
    `whenUndeliverable of the flow on ${types.join(', ')} must be one of ${WHEN_UNDELIVERABLE.join(', ')}, got ${JSON.stringify(rule)}`,
  );
}

function originsOf(
  types: readonly string[],
  origin: NonNullable<Guards['origin']>,
): readonly Origin[] {
  const origins = typeof origin === 'string' ? [origin] : origin;
  if (Array.isArray(origins) && origins.length > 0 && origins.every((each) => isOrigin(each))) {
    return origins;
  }
  throw new TidegateError(
    'flow_invalid',
    `origin of the flow on ${types.join(', ')} must be of ${ORIGINS.join(', ')}, one or a list, got ${JSON.stringify(origin)}`,
  );
}

const isOrigin = (value: unknown): boolean => ORIGINS.some((origin) => origin === value);

function fuseOf(types: readonly string[], fuse: NonNullable<Guards['fuse']>): Fuse | false {
  if (fuse === false) return false;
  const flow = `the flow on ${types.join(', ')}`;
  const { limit, per } = fuse;
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.fuseDeliveriesMax) {
    throw new TidegateError(
      'flow_invalid',
      `fuse.limit of ${flow} must be a whole number from 1 to ${LIMITS.fuseDeliveriesMax}, got ${JSON.stringify(limit)}`,
    );
  }
  const perMs = durationMs(per, 'fuse.per');
  if (perMs >= FUSE_PER_MS_MIN) return { limit, perMs };
  throw new TidegateError(
    'flow_invalid',
    `fuse.per of ${flow} must be at least 1s, got ${JSON.stringify(per)}`,
  );
}

const FUSE_PER_MS_MIN = 1_000;

type LimitOptions = Pick<FlowDefinition<TidegateEvent, string>, 'throttle' | 'concurrency'>;

function flowLimits(
  types: readonly string[],
  options: { readonly [Option in keyof LimitOptions]: LimitOptions[Option] | undefined },
): FlowLimits {
  const flow = `the flow on ${types.join(', ')}`;
  const throttle = options.throttle && throttleOf(flow, options.throttle);
  const concurrency = options.concurrency && sharedLimit(flow, 'concurrency', options.concurrency);
  return { ...(throttle && { throttle }), ...(concurrency && { concurrency }) };
}

const THROTTLE_PER_MS_MIN = 1_000;

function throttleOf(flow: string, options: NonNullable<LimitOptions['throttle']>): Throttle {
  const perMs = durationMs(options.per, 'throttle.per');
  if (perMs < THROTTLE_PER_MS_MIN) {
    throw new TidegateError(
      'flow_invalid',
      `throttle.per of ${flow} must be at least 1s, got ${JSON.stringify(options.per)}`,
    );
  }
  return { ...sharedLimit(flow, 'throttle', options), perMs };
}

function sharedLimit(
  flow: string,
  option: 'throttle' | 'concurrency',
  { limit, by }: Concurrency,
): Concurrency {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.runsPerLimitMax) {
    throw new TidegateError(
      'flow_invalid',
      `${option}.limit of ${flow} must be a whole number from 1 to ${LIMITS.runsPerLimitMax}, got ${JSON.stringify(limit)}`,
    );
  }
  if (by !== undefined && typeof by !== 'function') {
    throw new TidegateError(
      'flow_invalid',
      `${option}.by of ${flow} must be a function of the event, got ${typeof by}`,
    );
  }
  return { limit, ...(by && { by }) };
}
