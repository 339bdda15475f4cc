/** An operation of the HTTP interface as it is described: one that a route answers. */
import type { ZodType } from 'zod';
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi';
import type { ErrorCode } from '../model/error.ts';
import { problemResponses } from './problems.ts';

export interface Operation {
  readonly method: 'get' | 'post' | 'delete' | 'put' | 'patch';
  /** As OpenAPI writes it: `/events/{type}`. */
  readonly path: string;
  /** What generated clients call it. */
  readonly id: string;
  readonly summary: string;
  /** Whether it asks for a credential. @default true */
  readonly secured?: boolean;
  readonly params?: ZodOpenApiOperationObject['requestParams'];
  readonly body?: ZodOpenApiOperationObject['requestBody'];
  /** What it answers when all is well, and what is no problem document, by status. */
  readonly answers: Readonly<Record<string, ZodOpenApiResponseObject>>;
  /** Every code that it can answer with `application/problem+json`, beside those of any route. */
  readonly problems: readonly ErrorCode[];
}

const OF_ANY_ROUTE: readonly ErrorCode[] = ['too_many_headers', 'internal_error'];

export function operationObject(
  tag: string,
  { id, summary, secured = true, params, body, answers, problems }: Operation,
): ZodOpenApiOperationObject {
  return {
    operationId: id,
    summary,
    tags: [tag],
    ...(secured ? {} : { security: [] }),
    ...(params && { requestParams: params }),
    ...(body && { requestBody: body }),
    responses: { ...problemResponses([...problems, ...OF_ANY_ROUTE]), ...answers },
  };
}

/** The answer of a body in JSON, with an example. */
export const json = (
  description: string,
  schema: ZodType,
  example?: unknown,
): ZodOpenApiResponseObject => ({
  description,
  content: {
    'application/json': { schema, ...(example === undefined ? {} : { example }) },
  },
});
