/** The stages of the ingress, for events that came before. */
import type { Again } from '../journal/again.ts';
import type { HeldDelivery, Rejection } from '../journal/deliveries.ts';
import { TidegateError } from '../model/error.ts';
import type { Json, TidegateEvent } from '../model/event.ts';
import type { RegisteredFlow } from '../model/flow-registry.ts';
import { isTenant, utf8Bytes } from '../model/run.ts';
import type { Candidate, IngressContext } from './exchange.ts';
import { ingest } from './pipeline.ts';
import type { Committed } from './stages/commit.ts';
import { maskDecision } from './stages/mask-decision.ts';
import { askFlow, limitKeysOf, targetOf } from './stages/route-to-flows.ts';

export function decideAgain(context: IngressContext): Again {
  const flowOf = (name: string): RegisteredFlow | undefined =>
    context.flows.flows.find((flow) => flow.name === name);

  const flowFor = (name: string, { type }: TidegateEvent): RegisteredFlow => {
    const flow = flowOf(name);
    if (flow === undefined) throw unknownFlow(name, 'There is no flow');
    if (!flow.head.on.includes(type)) throw unknownFlow(name, `${type} is not taken by the flow`);
    return flow;
  };

  return {
    ask(name, event) {
      const flow = flowOf(name);
      if (flow === undefined) return gone(name);
      // It does not take the type any more, as an event of now would find.
      if (!flow.head.on.includes(event.type)) return 'filtered';
      const verdict = askFlow(flow, event);
      switch (verdict.kind) {
        case 'delivered':
          return verdict.delivery;
        case 'filtered':
          return 'filtered';
        case 'held':
          return masked(verdict.held, event, context);
        default:
          return verdict satisfies never;
      }
    },
    target: (name, event) => targetOf(flowFor(name, event), event),
    limitKeys: (name, event) => limitKeysOf(flowFor(name, event), event),
    async take(rejection) {
      const candidates = [candidateOf(rejection)];
      const [taken] = await ingest({ answersFor: 'several events', candidates }, context);
      return (taken as Committed).result;
    },
  };
}

const unknownFlow = (name: string, what: string): TidegateError =>
  new TidegateError(
    'unknown_flow',
    `${what} ${name}: GET /api/v1/flows has those that are loaded.`,
  );

const gone = (flow: string): HeldDelivery => ({
  flow,
  code: 'unknown_flow',
  message: `There is no flow ${flow} any more: discard it, or bring the flow back, restart, and retry it.`,
});

/** A filter may have quoted what the event's contract marks `pii`. */
function masked(held: HeldDelivery, event: TidegateEvent, context: IngressContext): HeldDelivery {
  const entry = { event, status: 'accepted', deliveries: [], held: [held] } as const;
  const decision = maskDecision({ kind: 'journal', entry }, context);
  return (decision.kind === 'journal' && decision.entry.held?.[0]) || held;
}

/** What its sender was not allowed to send, nobody sends for them by retrying it. */
const NOT_ALLOWED: readonly string[] = ['tenant_forbidden', 'type_forbidden'];

/** The event as it came, in the tenant that its dead letter is of. */
function candidateOf({ body, code, tenant, isOurs }: Rejection): Candidate {
  const kept = code === 'source_mapping_failed' ? undefined : keptEvent(body);
  if (kept === undefined) {
    throw notRetriable(
      'What was kept of it is not a whole event, so it cannot be taken again: have its sender send it again, or discard it.',
    );
  }
  const { data = null, ...attributes } = kept;
  const { tenantid = tenant } = attributes;
  const isOfAnother = typeof tenantid === 'string' && isTenant(tenantid) && tenantid !== tenant;
  if (isOfAnother || NOT_ALLOWED.includes(code)) {
    throw notRetriable(
      'Its sender was not allowed to send it: give their credential what it needs and have them send it again, or discard it.',
    );
  }
  return {
    kind: 'candidate',
    attributes: { ...attributes, tenantid },
    data,
    requestBytes: utf8Bytes(body),
    ...(isOurs && { isOurs }),
  };
}

const notRetriable = (message: string): TidegateError =>
  new TidegateError('not_retriable', message);

function keptEvent(body: string): { readonly [name: string]: Json } | undefined {
  let kept: Json;
  try {
    kept = JSON.parse(body) as Json;
  } catch {
    return undefined;
  }
  const isEvent = typeof kept === 'object' && kept !== null && !Array.isArray(kept);
  if (!isEvent) return undefined;
  const event = kept as { readonly [name: string]: Json };
  return event.truncated === true && event.specversion === undefined ? undefined : event;
}
