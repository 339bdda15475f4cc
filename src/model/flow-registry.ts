import { TidegateError } from './error.ts';
import type { TidegateEvent } from './event.ts';
import { LIMITS } from './limits.ts';
import type { RunInput } from './protocol.ts';
import { isFlowName } from './run.ts';

/** How often runs of a flow may begin: at most `limit` in any time of `perMs`, in each tenant. */
export interface Throttle {
  readonly limit: number;
  readonly perMs: number;
  /** What has a limit of its own. @default all runs of the tenant share one */
  readonly by?: (event: TidegateEvent) => string;
}

/** How many runs of a flow may be open at a time, in each tenant. */
export interface Concurrency {
  readonly limit: number;
  /** What has a limit of its own. @default all runs of the tenant share one */
  readonly by?: (event: TidegateEvent) => string;
}

/** What delays runs of a flow. */
export interface FlowLimits {
  readonly throttle?: Throttle;
  readonly concurrency?: Concurrency;
}

/** Who made an event: a person, a program, or a flow. */
export const ORIGINS = ['human', 'system', 'flow'] as const;
export type Origin = (typeof ORIGINS)[number];

/** Whether a run stays with the build that began it, or goes on with the current one. */
export const VERSIONINGS = ['pinned', 'auto-upgrade'] as const;
export type Versioning = (typeof VERSIONINGS)[number];

/** What becomes of later events of a key when Temporal refuses one: they wait for a person, or go on. */
export const WHEN_UNDELIVERABLE = ['hold', 'go-on'] as const;
export type WhenUndeliverable = (typeof WHEN_UNDELIVERABLE)[number];

/** How many events that flows made a run may be given: at most `limit` in any time of `perMs`. */
export interface Fuse {
  readonly limit: number;
  readonly perMs: number;
}

/** The routing head of a flow as the ingress uses it. */
export interface FlowHead extends FlowLimits {
  readonly on: readonly string[];
  /** Who may have made an event. @default anybody */
  readonly origin?: readonly Origin[];
  readonly where?: (event: TidegateEvent) => boolean;
  readonly key?: (event: TidegateEvent) => string;
  /** @default {@link DEFAULT_FUSE} */
  readonly fuse?: Fuse | false;
  /** @default 'hold' */
  readonly whenUndeliverable?: WhenUndeliverable;
  /** With workers that have a build id. @default 'pinned' */
  readonly versioning?: Versioning;
  readonly summary?: string;
  readonly owner?: string;
  readonly runbook?: string;
  readonly slo?: { readonly within: string | number; readonly target: number };
}

/** The fuse of a flow that names none. */
export const DEFAULT_FUSE: Fuse = { limit: LIMITS.fuseDeliveries, perMs: LIMITS.fuseMs };

/** A Temporal workflow function with its routing head attached, as `flow()` makes it. */
export interface Flow {
  (input: RunInput): Promise<unknown>;
  readonly head: FlowHead;
}

export interface RegisteredFlow {
  /** The export's name: the Temporal workflow type. */
  readonly name: string;
  readonly head: FlowHead;
}

export interface FlowRegistry {
  readonly flows: readonly RegisteredFlow[];
  /** The flows that take an event type. */
  taking(type: string): readonly RegisteredFlow[];
  /** What delays runs, by the names of the flows that have such a limit. */
  readonly limits: ReadonlyMap<string, FlowLimits>;
}

const isFlow = (value: unknown): value is Flow =>
  typeof value === 'function' && typeof (value as Partial<Flow>).head === 'object';

/**
 * The flows among a module's exports. Other exported functions are plain Temporal workflows, which
 * no event starts.
 *
 * @throws TidegateError `flow_invalid` for a default export (Temporal would run it for every unknown
 * workflow type), a name that cannot be a workflow type, or an export that is not a function.
 */
export function flowRegistry(module: Readonly<Record<string, unknown>>): FlowRegistry {
  const flows: RegisteredFlow[] = [];
  for (const [name, value] of Object.entries(module)) {
    if (name === 'default') {
      throw new TidegateError(
        'flow_invalid',
        'flows/index.ts has a default export: Temporal would run it for every unknown workflow type. Re-export flows by name only.',
      );
    }
    if (typeof value !== 'function') {
      throw new TidegateError(
        'flow_invalid',
        `flows/index.ts exports ${name}, which is not a flow: it must re-export flows by name and nothing else.`,
      );
    }
    if (!isFlow(value)) continue;
    if (!isFlowName(name)) {
      throw new TidegateError('flow_invalid', `the flow name ${name} cannot be a workflow type.`);
    }
    flows.push({ name, head: value.head });
  }
  const byType = new Map<string, RegisteredFlow[]>();
  for (const flow of flows) {
    for (const type of flow.head.on) byType.set(type, [...(byType.get(type) ?? []), flow]);
  }
  const limits = new Map(
    flows.flatMap(({ name, head: { throttle, concurrency } }) =>
      throttle === undefined && concurrency === undefined
        ? []
        : [[name, { ...(throttle && { throttle }), ...(concurrency && { concurrency }) }] as const],
    ),
  );
  return { flows, taking: (type) => byType.get(type) ?? [], limits };
}
