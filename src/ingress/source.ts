import type { IncomingHttpHeaders } from 'node:http';
import { TidegateError } from '../model/error.ts';
import type { Json } from '../model/event.ts';
import type { Verifier } from './verifiers/verifier.ts';

/** A verified delivery of a provider, as a mapping sees it. */
export interface SourceDelivery {
  /** The JSON that came. Integers beyond 2^53 are strings of their digits. */
  readonly payload: Json;
  /** Lower-case names. Most providers do not sign them: never take an identity from one. */
  readonly headers: IncomingHttpHeaders;
  /** SHA-256 of the signed bytes in hex: an identity that nobody can change. */
  readonly bodyHash: string;
}

/** A business event as a mapping gives it; the ingress fills in the rest of the envelope. */
export interface SourceEvent {
  readonly type: string;
  readonly data: Json;
  /**
   * What makes a delivery that comes again the same event. It must come from signed content.
   * @default the hash of the signed body, with the event's place in it when there are several
   */
  readonly id?: string;
  readonly subject?: string;
  /** When it happened, RFC 3339. @default when it arrived */
  readonly time?: string;
  readonly actor?: string;
  readonly origin?: 'human' | 'system';
  readonly correlationid?: string;
  readonly causationid?: string;
  readonly tenantid?: string;
}

/** Events that a delivery stands for; none when it only tests the connection; or why it stands for none. */
export type Mapped = readonly SourceEvent[] | { readonly ignored: string };

export interface Source {
  /** The path `/hooks/<name>` and the `source` of its events: lower case, digits and dashes. */
  readonly name: string;
  /** Whether a delivery comes from who it says, over the bytes as they came. */
  readonly verify: Verifier;
  /** The field of a form-encoded body that holds the JSON. @default none: JSON bodies only */
  readonly formField?: string;
  /**
   * From a provider's payload to business events. Synchronous and pure; a throw keeps the delivery as
   * a dead letter (`source_mapping_failed`).
   */
  readonly toEvents: (delivery: SourceDelivery) => Mapped;
}

/** A source with its secrets; with none it refuses every delivery with 503 `config_invalid`. */
export interface BoundSource extends Source {
  readonly secrets: readonly string[];
}

/**
 * How a provider's webhooks reach us.
 *
 * @throws TidegateError `source_invalid` for a name that cannot be a path.
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
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(source.name)) {
    throw new TidegateError(
      'source_invalid',
      `the source name ${JSON.stringify(source.name)} must be lower-case letters, digits and dashes: it is part of a path.`,
    );
  }
  return source;
}

/** The variable that holds a source's secret: `TIDEGATE_SOURCE_GITHUB_SECRET`. */
export const secretVariable = (name: string): string =>
  `TIDEGATE_SOURCE_${name.toUpperCase().replaceAll('-', '_')}_SECRET`;

/**
 * Sources with their secrets from the environment, several separated by commas while one rotates. A
 * source without any is bound all the same, so that the rest of a project runs, and refuses deliveries.
 *
 * @throws TidegateError `config_invalid` for an empty secret between commas, `source_invalid` for two
 * sources that share a name or a variable.
 */
export function bindSources(
  sources: readonly Source[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly BoundSource[] {
  const variables = new Set<string>();
  return sources.map((source) => {
    const variable = secretVariable(source.name);
    if (variables.has(variable)) {
      throw new TidegateError('source_invalid', `two sources are named ${source.name}.`);
    }
    variables.add(variable);
    const text = (environment[variable] ?? '').trim();
    const secrets = text === '' ? [] : text.split(',').map((secret) => secret.trim());
    if (secrets.includes('')) {
      throw new TidegateError(
        'config_invalid',
        `${variable} has an empty secret: separate secrets by one comma, with none at the end.`,
      );
    }
    return { ...source, secrets };
  });
}
