/**
 * The way of a request, in the order of its stages. Each stage is one file in stages/; a stage that
 * refuses the request throws a TidegateError with its code.
 */
import type { Request } from 'express';
import { TidegateError } from '../model/error.ts';
import type { Admission } from './admission.ts';
import type {
  Candidate,
  Decision,
  EventResult,
  IngressContext,
  Intake,
  Passing,
} from './exchange.ts';
import { mediaKind } from './media-type.ts';
import { isWorthKeeping, noteReads, rawDelivery } from './raw-delivery.ts';
import type { RefusedDelivery } from './refusals.ts';
import type { BoundSource, HandshakeAnswer } from './source.ts';
import { answerOne } from './stages/answer-one.ts';
import { answerSetup } from './stages/answer-setup.ts';
import { checkContract } from './stages/check-contract.ts';
import { type Committed, commit } from './stages/commit.ts';
import {
  CLOUDEVENTS_ADVICE,
  CLOUDEVENTS_KINDS,
  decodeCloudEvents,
} from './stages/decode-cloudevents.ts';
import { decodePlain, PLAIN_ADVICE, PLAIN_KINDS } from './stages/decode-plain.ts';
import { mapWebhook, sourceDelivery, WEBHOOK_ADVICE, webhookKinds } from './stages/map-webhook.ts';
import { maskDecision } from './stages/mask-decision.ts';
import { readBody } from './stages/read-body.ts';
import { readEnvelope } from './stages/read-envelope.ts';
import { routeToFlows } from './stages/route-to-flows.ts';
import { stopCircles, stopLoops } from './stages/stop-loops.ts';
import { suppressEchoes } from './stages/suppress-echoes.ts';
import { tellDecided } from './stages/tell-decided.ts';
import { findSource, signedRequest, verifySignature } from './stages/verify-signature.ts';

/** `POST /events` */
export async function takeCloudEvents(request: Request): Promise<Intake> {
  const kind = mediaKind(request.headers, CLOUDEVENTS_KINDS, CLOUDEVENTS_ADVICE);
  const body = await readBody(request);
  return decodeCloudEvents(request.headersDistinct, kind, body);
}

/** `POST /events/:type` */
export async function takePlainEvent(request: Request): Promise<Intake> {
  mediaKind(request.headers, PLAIN_KINDS, PLAIN_ADVICE);
  const body = await readBody(request);
  const { headersDistinct: headers, params, query } = request;
  return decodePlain({ headers, type: String(params.type), source: query.source }, body);
}

/** What `POST /hooks/:source` needs to know. */
export interface WebhookContext {
  readonly sources: readonly BoundSource[];
  readonly publicUrl: string | undefined;
  /** Whether deliveries are kept as they came. */
  readonly keepRaw: boolean;
  readonly now: () => Date;
  readonly admission: Admission;
  readonly onRefused: (refusal: RefusedDelivery) => void;
}

/** `POST /hooks/:source`, and `GET` for a source with a `setup` */
export async function takeWebhook(
  request: Request,
  context: WebhookContext,
): Promise<Intake | HandshakeAnswer> {
  const source = findSource(context.sources, String(request.params.source));
  let bytes = Number(request.headers['content-length'] ?? 0);
  try {
    const admitted = context.admission.delivery(source, request);
    const body = await readBody(request);
    bytes = body.length;
    const setup = answerSetup(source, request, body);
    if (setup !== undefined) return setup;
    const kind = mediaKind(request.headers, webhookKinds(source), WEBHOOK_ADVICE);
    const signed = signedRequest(request, { body, publicUrl: context.publicUrl });
    const noted = context.keepRaw && isWorthKeeping(source) ? noteReads(signed) : undefined;
    const receivedAt = context.now();
    const { secret, ...identity } = await admitted.verifying(
      verifySignature(source, noted?.request ?? signed, receivedAt.getTime()),
    );
    const webhook = { source, headers: request.headers, kind, body, ...identity };
    const delivery = sourceDelivery(webhook);
    const answer = await source.handshake?.(delivery, secret);
    if (answer !== undefined) return answer;
    return {
      ...mapWebhook(delivery, webhook),
      acknowledge: source.acknowledge ?? 202,
      ...(noted && {
        raw: rawDelivery(source, signed, { receivedAt, headers: noted.headersRead() }),
      }),
    };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal !== undefined) context.onRefused({ source: source.name, cause: refusal, bytes });
    throw error;
  }
}

/** Why a delivery is refused, for the log and metrics; undefined for a failure that is no refusal. */
function refusalOf(error: unknown): RefusedDelivery['cause'] | undefined {
  if (!TidegateError.is(error)) return undefined;
  const { cause } = error.details as { readonly cause?: RefusedDelivery['cause'] };
  return cause ?? error.code;
}

/** Decides what becomes of every event, makes it durable, and only then returns. */
export async function ingest(
  intake: Intake,
  context: IngressContext,
): Promise<readonly Committed[]> {
  const checked = intake.candidates.map((candidate) =>
    candidate.kind === 'candidate' ? check(candidate, context) : candidate,
  );
  const decisions: Decision[] = [];
  for (const step of await suppressEchoes(checked, context)) {
    decisions.push(maskDecision(await decide(step, context), context));
  }
  await answerOne(intake, decisions, context);
  const committed = await commit(decisions, context, intake.raw);
  for (const [index, { result }] of committed.entries()) {
    tellDecided(decisions[index], result.status, context);
  }
  return committed;
}

function check(candidate: Candidate, context: IngressContext): Passing | Decision {
  const read = readEnvelope(candidate, context);
  return read.kind === 'passing' ? checkContract(read, context) : read;
}

async function decide(step: Passing | Decision, context: IngressContext): Promise<Decision> {
  if (step.kind !== 'passing') return step;
  const passing = await stopLoops(step, context);
  if (passing.kind !== 'passing') return passing;
  return stopCircles(routeToFlows(passing, context), context);
}

export const resultsOf = (committed: readonly Committed[]): readonly EventResult[] =>
  committed.map(({ result }) => result);
