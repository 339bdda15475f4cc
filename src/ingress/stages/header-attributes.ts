import type { ContractProblem } from '../../model/contract.ts';

/** Headers as Node keeps them apart: joined, two of a name look like one. */
export type DistinctHeaders = NodeJS.Dict<string[]>;

export interface HeaderAttributes {
  readonly attributes: Readonly<Record<string, string>>;
  readonly problems: readonly ContractProblem[];
}

/**
 * The attributes in `ce-*` headers; `datacontenttype` is the content type, and the trace is in
 * `traceparent` where there is no `ce-traceparent`. Values are unquoted and percent-decoded once:
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
 */
export function attributesOfHeaders(headers: DistinctHeaders): HeaderAttributes {
  const attributes: [string, string][] = [];
  const problems: ContractProblem[] = [];
  const traceparent = onlyOne(headers.traceparent);
  if (traceparent !== undefined) attributes.push(['traceparent', traceparent]);
  const contentType = headers['content-type']?.[0] ?? '';
  if (contentType !== '') attributes.push(['datacontenttype', contentType]);
  for (const [name, values] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || values === undefined) continue;
    const attribute = name.slice('ce-'.length);
    const decoded = attributeOf(attribute, values);
    if ('problem' in decoded) problems.push({ path: attribute, message: decoded.problem });
    else attributes.push([attribute, decoded.value]);
  }
  return { attributes: Object.fromEntries(attributes), problems };
}

/** W3C Trace Context: of several nobody can tell which is right. */
export const onlyOne = (values: readonly string[] | undefined): string | undefined =>
  values?.length === 1 ? values[0] : undefined;

function attributeOf(
  name: string,
  [header = '', ...others]: readonly string[],
): { readonly value: string } | { readonly problem: string } {
  if (name === 'datacontenttype') {
    return { problem: 'must be in Content-Type, not in a header of its own' };
  }
  if (others.length > 0) return { problem: 'is there more than once' };
  if (!/^[\t -~]*$/.test(header)) {
    return { problem: 'has a character outside of ASCII, which must be percent-encoded' };
  }
  const value = decodeHeader(header);
  return value === undefined ? { problem: 'has a broken percent-encoding' } : { value };
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
