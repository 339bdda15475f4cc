import {
  type Client,
  isGrpcServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from '@temporalio/client';
import {
  defineSearchAttributeKey,
  NamespaceNotFoundError,
  SearchAttributeType,
  TypedSearchAttributes,
  ValueError,
} from '@temporalio/common';
import { packDeliveries } from '../model/delivery-batch.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import type { Delivery, TidegateEvent } from '../model/event.ts';
import { DELIVER_SIGNAL, type RunInput, SEARCH_ATTRIBUTES, TASK_QUEUE } from '../model/protocol.ts';
import type { RunId, RunParts } from '../model/run.ts';
import { CALL_MS_MAX } from '../temporal.ts';
import type { PlaceToSend, RunPlaces } from './places.ts';

/** Hands deliveries to a run, starting it if it is not running. Says to which execution, where that is known. */
export type Deliver = (
  run: RunId,
  parts: RunParts,
  batch: readonly Delivery[],
) => Promise<string | undefined>;

/**
 * {@link Deliver} in one call to Temporal, whatever the size of the batch. A run's first deliveries are the input
 * of an execution that Temporal begins only if it knows of none of that run; all others are a signal, with
 * which it begins one if none is open.
 */
export function temporalDeliver(
  client: Client,
  options: {
    readonly summaryOf: (flow: string) => string | undefined;
    /** What is marked `pii` in the events of a flow. @default nothing */
    readonly markedOf?: (flow: string) => RunInput['marked'];
    /**
     * A client of the same namespace over the connection of a worker in this process, once there is one: what
     * begins on its task queue begins there, with the answer to the call.
     * https://docs.temporal.io/design-patterns/eager-workflow-start
     * @default Temporal hands it to any worker
     */
    readonly beside?: () => Client | undefined;
    /** Where each run is sent. @default all in the client's namespace and on one task queue */
    readonly placeToSend?: RunPlaces['placeToSend'];
  },
): Deliver {
  const onePlace = { client, taskQueue: TASK_QUEUE };
  const start = starterOf(client, options.beside);
  return async (run, parts, batch) => {
    const first = batch[0];
    if (first === undefined) return undefined;
    const place = (await options.placeToSend?.(run, parts.tenant)) ?? onePlace;
    const marked = options.markedOf?.(parts.flow);
    const input: RunInput = { run, ...parts, ...(marked === undefined ? {} : { marked }) };
    const { workflow } = place.client;
    const common = {
      workflowId: run,
      taskQueue: place.taskQueue,
      staticSummary: summary(parts, first.event, options.summaryOf(parts.flow)),
      typedSearchAttributes: searchAttributes(parts, first.event),
      // By which task queues go round by tenant, where they do: what waits there for a worker is out of the
      // dispatcher's hands. https://docs.temporal.io/develop/task-queue-priority-fairness
      priority: { fairnessKey: parts.tenant },
    };
    if (first.number === 1) {
      const args: [RunInput] = [
        { ...input, execution: 'first', deliveries: packDeliveries(batch), askedAt: Date.now() },
      ];
      const began = await unlessKnown(() =>
        start(place, parts.flow, { ...common, args, workflowIdReusePolicy: 'REJECT_DUPLICATE' }),
      );
      if (began !== undefined) return began.firstExecutionRunId;
    }
    const args: [RunInput] = [{ ...input, execution: 'later' }];
    const signal = { signal: DELIVER_SIGNAL, signalArgs: [packDeliveries(batch)] };
    const sent = await workflow.signalWithStart(parts.flow, { ...common, args, ...signal });
    return sent.signaledRunId;
  };
}

/** Begins runs beside, where that is their place. Without room in the worker, Temporal hands it to any. */
function starterOf(client: Client, beside: () => Client | undefined = () => undefined) {
  // Against a dead server the SDK's core tries for nine seconds, our own connection for one: that one asks
  // whether it is back.
  let isBesideAway = false;
  return async (place: PlaceToSend, flow: string, options: WorkflowStartOptions) => {
    const { namespace } = place.client.options;
    const isOwn = namespace === client.options.namespace && place.taskQueue === TASK_QUEUE;
    const shared = isOwn && !isBesideAway ? beside() : undefined;
    try {
      const began =
        shared === undefined
          ? await place.client.workflow.start(flow, options)
          : await shared.withDeadline(Date.now() + CALL_MS_MAX, () =>
              shared.workflow.start(flow, { ...options, requestEagerStart: true }),
            );
      isBesideAway = false;
      return began;
    } catch (error) {
      isBesideAway ||= shared !== undefined;
      throw error;
    }
  };
}

/** Undefined when Temporal knows the run, open or not: what is sent is a repeat, or another journal's first. */
async function unlessKnown<Begun>(begin: () => Promise<Begun>): Promise<Begun | undefined> {
  try {
    return await begin();
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return undefined;
    throw error;
  }
}

/** Whether a run has taken in all that it was sent, or has ended. */
export type HasTakenIn = (run: RunId) => Promise<boolean>;

/**
 * {@link HasTakenIn} by Temporal's word: a run that has a workflow task before it has not. The task in which it
 * takes something in ends after what it told the journal then.
 */
export function temporalHasTakenIn(clientOfRun: (run: RunId) => Promise<Client>): HasTakenIn {
  return async (run) => {
    const client = await clientOfRun(run);
    try {
      const { raw } = await client.workflow.getHandle(run).describe();
      return (raw.pendingWorkflowTask ?? undefined) === undefined;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return true;
      throw error;
    }
  };
}

/** Which entity, and what the flow is there for. Temporal keeps 400 bytes. */
function summary(parts: RunParts, first: TidegateEvent, purpose: string | undefined): string {
  const entity = parts.key.length > 120 ? `${parts.key.slice(0, 119)}…` : parts.key;
  return `${purpose ?? parts.flow} · ${entity} · opened by ${first.type}`.slice(0, 200);
}

const keyword = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
const TENANT = keyword(SEARCH_ATTRIBUTES.tenant);
const KEY = keyword(SEARCH_ATTRIBUTES.key);
const SOURCE = keyword(SEARCH_ATTRIBUTES.source);
const CORRELATION_ID = keyword(SEARCH_ATTRIBUTES.correlationId);
const STAGE = keyword(SEARCH_ATTRIBUTES.stage);

const searchAttributes = (parts: RunParts, first: TidegateEvent): TypedSearchAttributes =>
  new TypedSearchAttributes([
    { key: TENANT, value: parts.tenant },
    { key: KEY, value: parts.key },
    { key: SOURCE, value: first.source },
    { key: CORRELATION_ID, value: first.correlationid },
    { key: STAGE, value: 'running' },
  ]);

/**
 * What a failed call means: `outage` concerns every run, `busy` passes by itself in a moment, `blocked`
 * concerns the run, its flow or its place whatever the events are, until somebody changes something;
 * `refused` is a fault of an event in it.
 */
export type CallFailure =
  | { readonly kind: 'outage' | 'busy' | 'blocked'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** gRPC codes, https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNAUTHENTICATED = 16;

/** What INVALID_ARGUMENT says of the run and not of an event: it is deaf, or the namespace lacks what every run has. */
const OF_THE_RUN = /workflow execution limit|search attribute/i;

export function classifyCallFailure(error: unknown): CallFailure {
  const service = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  const reason = messageOf(service);
  // Routes may name one that is not there: other runs go elsewhere.
  if (service instanceof NamespaceNotFoundError) return { kind: 'blocked', reason };
  // It could not even be written: no call was made.
  if (service instanceof ValueError) return { kind: 'refused', reason };
  // A key that this process lacks: runs of other tenants go on.
  if (TidegateError.is(service, 'encryption_key_unknown')) return { kind: 'blocked', reason };
  if (!isGrpcServiceError(service)) return { kind: 'outage', reason };
  switch (service.code) {
    case INVALID_ARGUMENT:
      return { kind: OF_THE_RUN.test(reason) ? 'blocked' : 'refused', reason };
    case FAILED_PRECONDITION:
      return { kind: 'blocked', reason };
    // Credentials and quotas concern every run alike.
    case PERMISSION_DENIED:
    case UNAUTHENTICATED:
      return { kind: 'outage', reason };
    case RESOURCE_EXHAUSTED:
      // "workflow is closing" lasts as long as one workflow task; sizes never change by waiting.
      return { kind: /larger than max/.test(reason) ? 'refused' : 'busy', reason };
    default:
      return { kind: 'outage', reason };
  }
}
