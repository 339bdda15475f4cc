import type { EventTypesOf } from '../model/contract.ts';
import { type Duration, durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';
import type { TidegateEvent } from '../model/event.ts';
import type { Flow } from '../model/flow-registry.ts';
import type { RunInput } from '../model/protocol.ts';
import type { FlowBody } from './body.ts';
import type { Inbox } from './inbox.ts';
import { runFlow } from './run.ts';

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
   * Which run an event belongs to. Pure and synchronous; runs at the ingress. Runs of one key never
   * overlap. @default one run per event
   */
  readonly key?: (event: Event) => string;
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
  type TypeName = keyof Types & string;
  return function flow<const On extends TypeName | readonly TypeName[]>(
    definition: FlowDefinition<EventIn<Types, OneOf<On>>, On>,
  ): Flow {
    return defineFlow(definition as unknown as FlowDefinition<TidegateEvent, string>);
  };
}

function defineFlow(definition: FlowDefinition<TidegateEvent, string | readonly string[]>): Flow {
  const { run, on, slo, ...head } = definition;
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
  const workflow = (input: RunInput): Promise<unknown> => runFlow(run as FlowBody, input);
  return Object.assign(workflow, {
    head: { ...head, on: types, ...(slo === undefined ? {} : { slo }) },
  });
}
