import {
  ALL_RUNS,
  type HeldDelivery,
  type LimitKeys,
  type RoutedDelivery,
} from '../../journal/deliveries.ts';
import { messageOf, TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import type { Concurrency, RegisteredFlow } from '../../model/flow-registry.ts';
import { LIMITS } from '../../model/limits.ts';
import { makeRunId, textProblem, utf8Bytes } from '../../model/run.ts';
import type { Decision, IngressContext, Passing } from '../exchange.ts';
import { sha256 } from '../refusal.ts';
import { fuseOf, originProblem } from './filter-origin.ts';

/** What can be done about a delivery that a flow of ours could not decide about. */
const RETRY = 'Mend the flow, restart, and retry it: it is kept under /api/v1/dead-letters';

/** What a flow says of an event: it goes to a run, nowhere, or the flow could not decide. */
export type FlowVerdict =
  | { readonly kind: 'delivered'; readonly delivery: RoutedDelivery }
  /** Why, when it is not its `where` that says so. */
  | { readonly kind: 'filtered'; readonly reason?: string }
  | { readonly kind: 'held'; readonly held: HeldDelivery };

/**
 * Decides which runs an event belongs to, flow by flow. A flow whose `where`, `key` or `by` fails
 * neither lets the event through nor drops it, and does not hold up the others: its delivery is held
 * for a person.
 */
export function routeToFlows(passing: Passing, { flows }: IngressContext): Decision {
  const { event } = passing;
  const taking = flows.taking(event.type);
  if (taking.length === 0) {
    return entry(event, 'unrouted', `no flow takes ${event.type}`, []);
  }
  const deliveries: RoutedDelivery[] = [];
  const filteredBy: string[] = [];
  const held: HeldDelivery[] = [];
  for (const flow of taking) {
    const verdict = askFlow(flow, event);
    switch (verdict.kind) {
      case 'delivered':
        deliveries.push(verdict.delivery);
        break;
      case 'filtered':
        filteredBy.push(
          verdict.reason === undefined ? flow.name : `${flow.name} (${verdict.reason})`,
        );
        break;
      case 'held':
        held.push(verdict.held);
        break;
      default:
        verdict satisfies never;
    }
  }
  const reasons = [
    ...(filteredBy.length === 0 ? [] : [`not wanted by ${filteredBy.join(', ')}`]),
    ...held.map(({ flow, code }) => `held for ${flow}: ${code}`),
  ];
  // What is held is still to be decided, so the event was not filtered.
  const status = deliveries.length + held.length === 0 ? 'filtered' : 'accepted';
  return entry(event, status, reasons.join('; '), deliveries, held);
}

function entry(
  event: TidegateEvent,
  status: 'accepted' | 'filtered' | 'unrouted',
  reason: string,
  deliveries: readonly RoutedDelivery[],
  held: readonly HeldDelivery[] = [],
): Decision {
  return {
    kind: 'journal',
    entry: {
      event,
      status,
      deliveries,
      ...(reason === '' ? {} : { reason }),
      ...(held.length === 0 ? {} : { held }),
    },
  };
}

/** Asks one flow about an event. */
export function askFlow(flow: RegisteredFlow, event: TidegateEvent): FlowVerdict {
  const reason = originProblem(flow.head, event);
  if (reason !== undefined) return { kind: 'filtered', reason };
  try {
    return wants(flow, event)
      ? { kind: 'delivered', delivery: targetOf(flow, event) }
      : { kind: 'filtered' };
  } catch (error) {
    if (!TidegateError.is(error)) throw error;
    const { code, message } = error;
    return { kind: 'held', held: { flow: flow.name, code, message } };
  }
}

function wants(flow: RegisteredFlow, event: TidegateEvent): boolean {
  if (flow.head.where === undefined) return true;
  const wanted: unknown = attempt(flow.name, 'where', () => flow.head.where?.(event));
  if (typeof wanted === 'boolean') return wanted;
  const got = wanted instanceof Promise ? 'a promise' : typeof wanted;
  throw new TidegateError(
    'filter_failed',
    `where of flow ${flow.name} returned ${got}: it must be synchronous and return true or false. ${RETRY}.`,
  );
}

/**
 * The run of a flow that an event belongs to, whether or not its `where` wants it.
 *
 * @throws TidegateError `filter_failed` · `invalid_key`
 */
export function targetOf(flow: RegisteredFlow, event: TidegateEvent): RoutedDelivery {
  const key =
    flow.head.key === undefined
      ? keyOfOneEvent(event)
      : attempt(flow.name, 'key', () => flow.head.key?.(event) as string);
  const run = makeRunId({ flow: flow.name, tenant: event.tenantid, key });
  const limitKeys = limitKeysOf(flow, event);
  const fuse = fuseOf(flow.head, event);
  return { flow: flow.name, key, run, ...(limitKeys && { limitKeys }), ...(fuse && { fuse }) };
}

/** Under which keys a run that this event opens waits; undefined when nothing delays runs of the flow. */
export function limitKeysOf(
  { name, head: { throttle, concurrency } }: RegisteredFlow,
  event: TidegateEvent,
): LimitKeys | undefined {
  if (throttle === undefined && concurrency === undefined) return undefined;
  return {
    ...(throttle && { throttle: limitKey(name, 'throttle', throttle, event) }),
    ...(concurrency && { concurrency: limitKey(name, 'concurrency', concurrency, event) }),
  };
}

function limitKey(
  flow: string,
  option: 'throttle' | 'concurrency',
  { by }: Concurrency,
  event: TidegateEvent,
): string {
  if (by === undefined) return ALL_RUNS;
  const part = `${option}.by` as const;
  const key: unknown = attempt(flow, part, () => by(event));
  const problem = limitKeyProblem(key);
  if (problem === undefined) return key as string;
  throw new TidegateError(
    'filter_failed',
    `${part} of flow ${flow} returned a value that ${problem}: it must be synchronous and return a string of 1 to ${LIMITS.limitKeyBytesMax} bytes. ${RETRY}.`,
  );
}

function limitKeyProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return `is ${key instanceof Promise ? 'a promise' : typeof key}`;
  if (key === '') return 'is empty';
  if (utf8Bytes(key) > LIMITS.limitKeyBytesMax) return 'is too long';
  return textProblem(key);
}

function attempt<Result>(
  flow: string,
  part: 'where' | 'key' | `${'throttle' | 'concurrency'}.by`,
  act: () => Result,
): Result {
  try {
    return act();
  } catch (error) {
    throw new TidegateError(
      'filter_failed',
      `${part} of flow ${flow} threw: ${messageOf(error)}. ${RETRY}.`,
    );
  }
}

/**
 * The key of an unkeyed flow: one run for each event. Identity is source and id, so the key has both;
 * a slash in the id is encoded, so that the last slash parts them and no two events share a key.
 */
export function keyOfOneEvent({ source, id }: Pick<TidegateEvent, 'source' | 'id'>): string {
  const key = `${source}/${id.replaceAll('%', '%25').replaceAll('/', '%2F')}`;
  return utf8Bytes(key) <= LIMITS.keyBytesMax ? key : `sha256:${sha256(key)}`;
}
