import type { DeliveryTarget } from '../../journal/journal.ts';
import { messageOf, TidegateError } from '../../model/error.ts';
import type { TidegateEvent } from '../../model/event.ts';
import type { RegisteredFlow } from '../../model/flow-registry.ts';
import { LIMITS } from '../../model/limits.ts';
import { makeRunId, utf8Bytes } from '../../model/run.ts';
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
  const deliveries: DeliveryTarget[] = [];
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
  deliveries: readonly DeliveryTarget[],
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

function target(flow: RegisteredFlow, event: TidegateEvent): DeliveryTarget {
  const key =
    flow.head.key === undefined
      ? keyOfOneEvent(event)
      : attempt(flow.name, 'key', () => flow.head.key?.(event) as string);
  const run = makeRunId({ flow: flow.name, tenant: event.tenantid, key });
  return { flow: flow.name, key, run };
}

function attempt<Result>(flow: string, part: 'where' | 'key', act: () => Result): Result {
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
