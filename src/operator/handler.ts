import type { Request } from 'express';
import { z } from 'zod';
import { callerOf } from '../access/authenticate.ts';
import { tenantFor } from '../access/caller.ts';
import type { Page } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/** Answers a request with a value that goes out as JSON; a thrown value becomes a problem. */
export type Handler = (request: Request) => unknown;

const PAGE_ROWS_DEFAULT = 50;

/** `limit` and `after`, which every list takes. */
const pageFields = {
  limit: z
    .string()
    .regex(/^(?=\d{1,6}$)0*[1-9]\d*$/, {
      error: `must be a whole number from 1 to ${LIMITS.pageRowsMax}`,
    })
    .transform((text) => Math.min(Number(text), LIMITS.pageRowsMax))
    .optional(),
  after: z.string().max(LIMITS.attributeCharactersMax).optional(),
};

/** The query string of a list with these filters, for the list and for the OpenAPI document. */
export function listQuerySchema<Name extends string>(
  names: readonly Name[],
  values: { readonly [Field in Name]?: readonly string[] } = {},
) {
  const filters = Object.fromEntries(
    names.map((name) => [name, filterOf(values[name]).optional()] as const),
  );
  return z.strictObject({ ...pageFields, ...filters });
}

export interface ListQuery<Name extends string> {
  readonly filter: { readonly [Field in Name]?: string };
  readonly page: Page;
}

/**
 * The filters and the page of a list's query string. A list that has the filter `tenant` is about the
 * tenant of the caller's credential, where it has one.
 *
 * @param values of the filters that have a fixed set of them.
 * @throws TidegateError `query_invalid` for a parameter that the list does not have, one that comes
 * twice, or one that is malformed: a filter that is silently dropped shows rows nobody asked for.
 * `tenant_forbidden` for a tenant that is not the caller's.
 */
export function listQuery<Name extends string>(
  request: Request,
  names: readonly Name[],
  values: { readonly [Field in Name]?: readonly string[] } = {},
): ListQuery<Name> {
  const shown = (name: Name): string =>
    values[name] === undefined ? name : `${name} (${values[name].join(' | ')})`;
  const parsed = listQuerySchema(names, values).safeParse(request.query);
  if (!parsed.success) {
    throw new TidegateError(
      'query_invalid',
      `This list takes ${[...names.map(shown), 'limit', 'after'].join(', ')}, each at most once.`,
      { details: { errors: issuesOf(parsed.error) } },
    );
  }
  const { limit, after, ...filter } = parsed.data;
  return {
    filter: (names.some((name) => name === 'tenant')
      ? ofTenant(request, filter)
      : filter) as ListQuery<Name>['filter'],
    page: { limit: limit ?? PAGE_ROWS_DEFAULT, ...(after === undefined ? {} : { after }) },
  };
}

/** The filter as far as the caller may see rows of its tenant. */
function ofTenant(
  request: Request,
  filter: { readonly tenant?: string | undefined },
): { readonly tenant?: string | undefined } {
  const decision = tenantFor(callerOf(request), filter.tenant);
  switch (decision.kind) {
    case 'own':
      return { ...filter, tenant: decision.tenant };
    case 'as claimed':
      return filter;
    case 'forbidden':
      throw new TidegateError(
        'tenant_forbidden',
        `Your credential is for the tenant ${decision.own}: leave the filter out.`,
      );
    default:
      return decision satisfies never;
  }
}

const filterOf = (values: readonly string[] | undefined): z.ZodType<string> =>
  values === undefined
    ? z.string().min(1).max(LIMITS.attributeCharactersMax)
    : z.enum(values, { error: `must be one of ${values.join(', ')}` });

/** What zod refused, as the `errors` of a problem. */
export function issuesOf(error: z.ZodError): { readonly path: string; readonly message: string }[] {
  return error.issues.map((issue) => ({
    path: issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : pathOf(issue.path),
    message: issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message,
  }));
}

/** `lines[0].sku` */
function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

/** A parameter of the path; routes name those they have. */
export const pathParameter = (request: Request, name: string): string =>
  String(request.params[name] ?? '');
