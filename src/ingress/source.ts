import type { IncomingHttpHeaders } from 'node:http';
import type { SaidChange } from '../model/change.ts';
import { TidegateError } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import { bucketOf, type RateLimit } from './rate-limits.ts';
import type { Priority } from './shedding.ts';
import { readSecrets, type SourceSecret, secretVariable } from './source-secrets.ts';
import type { Verifier } from './verifiers/verifier.ts';

/** A verified delivery of a provider, as a mapping sees it. */
export interface SourceDelivery {
  /** The JSON that came. Integers beyond 2^53 are strings of their digits. */
  readonly payload: Json;
  /** Lower-case names. Most providers do not sign them: never take an identity from one. */
  readonly headers: IncomingHttpHeaders;
  /** SHA-256 of the body's bytes in hex: an identity that nobody can change where the whole body is signed. */
  readonly bodyHash: string;
  /** What the scheme signs as the delivery's identity, such as `webhook-id`; absent where it signs none. */
  readonly signedId?: string;
}

/** A business event as a mapping gives it; the ingress fills in the rest of the envelope. */
export interface SourceEvent {
  readonly type: string;
  readonly data: Json;
  /**
   * What makes a delivery that comes again the same event. It must come from signed content.
   * @default what the source's `dedupe` gives; with the event's place in it when there are several
   */
  readonly id?: string;
  readonly subject?: string;
  /** When it happened, RFC 3339; `eventTime` reads what vendors write. @default when it arrived */
  readonly time?: string | undefined;
  readonly actor?: string;
  /**
   * Who made it happen. `tidegate:<flow>` where the payload tells that it was a flow of ours, such as by
   * the name of its user there: then it counts towards fuses, and flows for people do not take it.
   * @default 'system'
   */
  readonly origin?: 'human' | 'system' | `tidegate:${string}`;
  /**
   * That it tells of a change: what was changed, and the values that the fields have now, each as the
   * connector's `writes` would say it. A change that our own connector made is an `echo`, and goes to no
   * flow. @default it is never an echo
   */
  readonly change?: SaidChange;
  readonly correlationid?: string;
  readonly causationid?: string;
  readonly tenantid?: string;
}

/** What one record of a delivery stands for: an event, a reason why none, or an error that keeps it as a dead letter. */
export type MappedRecord =
  | SourceEvent
  | { readonly ignored: string }
  | { readonly failed: unknown; readonly record: Json };

/** Events that a delivery stands for; none when it only tests the connection; or why it stands for none. */
export type Mapped = readonly MappedRecord[] | { readonly ignored: string };

/**
 * Maps a delivery of many records one by one, so that a record which cannot be mapped becomes a dead
 * letter of its own and holds up no other.
 */
export const mapRecords = (
  records: readonly Json[],
  map: (record: Json) => Exclude<MappedRecord, { readonly failed: unknown }>,
): readonly MappedRecord[] =>
  records.map((record) => {
    try {
      return map(record);
    } catch (failed) {
      return { failed, record };
    }
  });

/** What a provider wants to hear when it asks who listens. Text is sent as text/plain and never as HTML. */
export interface HandshakeAnswer {
  readonly status: 200 | 204;
  readonly json?: Json;
  readonly text?: string;
}

/** A request that nobody has verified. */
export interface SetupRequest {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface Source {
  /** The `source` of its events: lower case, digits and dashes. */
  readonly name: string;
  /** What its address ends with, `/hooks/<path>`: lower case, digits and dashes. @default the name */
  readonly path?: string;
  /** Whether a delivery comes from who it says, over the bytes as they came. */
  readonly verify: Verifier;
  /**
   * Says that you know: this scheme does not sign the body, so whoever sees one request can send another
   * body with it. Such a verifier is refused without it. @default false
   */
  readonly bodyUnprotected?: boolean;
  /**
   * What bodies come as: JSON, JSON that is sent as text/plain (AWS SNS), or a form. A form's payload is
   * an object of its fields, a repeated one as an array. @default ['json'], with `formField` also 'form'
   */
  readonly bodies?: readonly ('json' | 'text' | 'form')[];
  /** The field of a form-encoded body that holds the JSON. @default none */
  readonly formField?: string;
  /**
   * Answers the deliveries by which a provider asks who listens. It gets verified deliveries only, and
   * the secret that verified them; undefined is an event like any.
   */
  readonly handshake?: (
    delivery: SourceDelivery,
    secret: string,
  ) => HandshakeAnswer | undefined | Promise<HandshakeAnswer | undefined>;
  /**
   * Answers what a provider sends unsigned by design when it is set up, also by GET. Anybody can send it:
   * repeat at most a challenge, change nothing. undefined is a delivery like any.
   */
  readonly setup?: (request: SetupRequest) => HandshakeAnswer | undefined;
  /**
   * What is the same in a delivery that comes again, such as a provider's event id; synchronous and pure.
   * It must come from signed content, and never from what a retry changes, such as a counter of attempts.
   * A throw keeps the delivery as a dead letter.
   * @default what the scheme signs as identity, else a hash of the body
   */
  readonly dedupe?: (delivery: SourceDelivery) => string;
  /** The status for accepted deliveries; 200 and 204 have no body. @default 202, with the results */
  readonly acknowledge?: 200 | 202 | 204;
  /**
   * How many verified deliveries an ingress takes in a time; more are answered 429, and their sender is to
   * repeat them. @default `TIDEGATE_LIMIT_PER_SOURCE`, else none
   */
  readonly limit?: RateLimit;
  /** What is refused first when there is too much to do: low before normal, high last. @default 'normal' */
  readonly priority?: Priority;
  /**
   * From a provider's payload to business events. Synchronous and pure; a throw keeps the delivery as
   * a dead letter (`source_mapping_failed`).
   */
  readonly toEvents: (delivery: SourceDelivery) => Mapped;
}

/** A source with its secrets; with none it refuses every delivery with 503 `config_invalid`. */
export interface BoundSource extends Source {
  readonly secrets: readonly SourceSecret[];
}

/** What the address of a source ends with. */
export const pathOf = ({ name, path = name }: Pick<Source, 'name' | 'path'>): string => path;

/**
 * How a provider's webhooks reach us.
 *
 * @throws TidegateError `source_invalid` for a name or path that cannot be one, or a verifier that leaves the
 * body unprotected without `bodyUnprotected: true`.
 * @example
 * ```ts
 * export const billing = defineSource({
 *   name: 'billing',
 *   verify: hmacSignature({ header: 'x-billing-signature', prefix: 'sha256=', encoding: 'hex' }),
 *   toEvents: ({ payload }) => [{ type: 'invoice.paid', data: payload }],
 * });
 * ```
 */
export function defineSource(source: Source): Source {
  for (const [what, text] of [
    ['name', source.name],
    ['path', pathOf(source)],
  ] as const) {
    if (/^[a-z][a-z0-9-]{0,63}$/.test(text)) continue;
    throw new TidegateError(
      'source_invalid',
      `the source ${what} ${JSON.stringify(text)} must be lower-case letters, digits and dashes, beginning with a letter and at most 64.`,
    );
  }
  if (source.limit !== undefined) bucketOf(source.limit, `the limit of the source ${source.name}`);
  if (source.verify.protects === 'nothing' && source.bodyUnprotected !== true) {
    throw new TidegateError(
      'source_invalid',
      `the source ${source.name} uses ${source.verify.scheme}, which does not sign the body: whoever sees one request can send another body with it. Use a signature, or say bodyUnprotected: true.`,
    );
  }
  return source;
}

/**
 * Sources with their secrets from the environment, several separated by commas while one rotates, each
 * with a validity where it has one (`<secret>@2026-11-21..2026-12-01`). A source without any is bound all
 * the same, so that the rest of a project runs, and refuses deliveries.
 *
 * @throws TidegateError `config_invalid` for an empty secret between commas, one that the source's scheme
 * cannot use, or one that two sources share; `source_invalid` for two sources that share a name, a path or a variable.
 */
export function bindSources(
  sources: readonly Source[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly BoundSource[] {
  const variables = new Set<string>();
  const paths = new Set<string>();
  const ownerOf = new Map<string, string>();
  return sources.map((source) => {
    const variable = secretVariable(source.name);
    if (variables.has(variable)) {
      throw new TidegateError('source_invalid', `two sources are named ${source.name}.`);
    }
    variables.add(variable);
    if (paths.has(pathOf(source))) {
      throw new TidegateError('source_invalid', `two sources have the path ${pathOf(source)}.`);
    }
    paths.add(pathOf(source));
    const secrets = readSecrets(source.name, environment);
    for (const { text } of secrets) {
      const problem = source.verify.secretProblem(text) ?? sharedProblem(ownerOf.get(text), source);
      if (problem !== undefined) {
        throw new TidegateError('config_invalid', `${variable}: a secret ${problem}.`);
      }
      ownerOf.set(text, source.name);
    }
    return { ...source, secrets };
  });
}

/** No provider signs the path: what one source took, another with the same secret would take again as new. */
const sharedProblem = (owner: string | undefined, { name }: Source): string | undefined =>
  owner === undefined || owner === name
    ? undefined
    : `is that of the source ${owner} too, so a delivery to one could be repeated to the other: make one source of both, or use two secrets`;
