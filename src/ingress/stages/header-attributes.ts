import type { IncomingHttpHeaders } from 'node:http';
import type { ContractProblem } from '../../model/contract.ts';

export interface HeaderAttributes {
  readonly attributes: Readonly<Record<string, string>>;
  readonly problems: readonly ContractProblem[];
}

/**
 * The attributes in `ce-*` headers, and the trace in `traceparent` where there is no
 * `ce-traceparent`. Values are unquoted and percent-decoded once:
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
 */
export function attributesOfHeaders(headers: IncomingHttpHeaders): HeaderAttributes {
  const attributes: [string, string][] = [];
  const problems: ContractProblem[] = [];
  if (headers.traceparent !== undefined) {
    attributes.push(['traceparent', String(headers.traceparent)]);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || value === undefined) continue;
    const decoded = decodeHeader(String(value));
    const attribute = name.slice('ce-'.length);
    if (decoded === undefined) {
      problems.push({ path: attribute, message: 'has a broken percent-encoding' });
    } else attributes.push([attribute, decoded]);
  }
  return { attributes: Object.fromEntries(attributes), problems };
}

/** A header's value without the double quotes around it, where it has them. */
export function unquote(value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  return quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1');
}

function decodeHeader(value: string): string | undefined {
  try {
    return decodeURIComponent(unquote(value));
  } catch {
    return undefined;
  }
}
