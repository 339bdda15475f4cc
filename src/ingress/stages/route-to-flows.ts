import { ALL_RUNS, type LimitKeys, type RoutedDelivery } from '../../journal/journal.ts';
import { messageOf, TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import type { Concurrency, RegisteredFlow } from '../../model/flow-registry.ts';
import { LIMITS } from '../../model/limits.ts';
import { makeRunId, textProblem, utf8Bytes } from '../../model/run.ts';
import type { Decision, IngressContext, Passing } from '../exchange.ts';
import { refuseEvent, SEND_AGAIN, sha256 } from '../refusal.ts';

/**
 * Decides which runs an event belongs to. A `where` or `key` that fails never lets an event through
 * and never drops it: the event waits for a person.
 */
export function routeToFlows(passing: Passing, { flows }: IngressContext): Decision {
  const { event } = passing;
  const taking = flows.taking(event.type);
  if (taking.length === 0) {
    return entry(event, 'unrouted', `no flow takes ${event.type}`, []);
  }
  const deliveries: RoutedDelivery[] = [];
  const filteredBy: string[] = [];
  try {
    for (const flow of taking) {
      if (wants(flow, event)) deliveries.push(target(flow, event));
      else filteredBy.push(flow.name);
    }
  } catch (error) {
    if (!TidegateError.is(error)) throw error;
    return refuseEvent(passing, error.code, error.message);
  }
  const reason = filteredBy.length === 0 ? undefined : `not wanted by ${filteredBy.join(', ')}`;
  return entry(event, deliveries.length === 0 ? 'filtered' : 'accepted', reason, deliveries);
}

function entry(
  event: TidegateEvent,
  status: 'accepted' | 'filtered' | 'unrouted',
  reason: string | undefined,
  deliveries: readonly RoutedDelivery[],
): Decision {
  return {
    kind: 'journal',
    entry: { event, status, deliveries, ...(reason === undefined ? {} : { reason }) },
  };
}

function wants(flow: RegisteredFlow, event: TidegateEvent): boolean {
  if (flow.head.where === undefined) return true;
  const wanted: unknown = attempt(flow.name, 'where', () => flow.head.where?.(event));
  if (typeof wanted === 'boolean') return wanted;
  const got = wanted instanceof Promise ? 'a promise' : typeof wanted;
  throw new TidegateError(
    'filter_failed',
    `where of flow ${flow.name} returned ${got}: it must be synchronous and return true or false. Mend the flow, ${SEND_AGAIN}.`,
  );
}

function target(flow: RegisteredFlow, event: TidegateEvent): RoutedDelivery {
  const key =
    flow.head.key === undefined
      ? keyOfOneEvent(event)
      : attempt(flow.name, 'key', () => flow.head.key?.(event) as string);
  const run = makeRunId({ flow: flow.name, tenant: event.tenantid, key });
  const limitKeys = limitKeysOf(flow, event);
  return { flow: flow.name, key, run, ...(limitKeys === undefined ? {} : { limitKeys }) };
}

/** Under which keys a run that this event opens waits; undefined when nothing delays runs of the flow. */
function limitKeysOf(
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
    `${part} of flow ${flow} returned a value that ${problem}: it must be synchronous and return a string of 1 to ${LIMITS.limitKeyBytesMax} bytes. Mend the flow, ${SEND_AGAIN}.`,
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
      `${part} of flow ${flow} threw: ${messageOf(error)}. Mend the flow, ${SEND_AGAIN}.`,
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
