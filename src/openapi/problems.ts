/** The answers that say what is wrong: RFC 9457. */
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { ZodOpenApiResponseObject } from 'zod-openapi';
import { statusOf } from '../http/problem.ts';
import { ERROR_CODES, type ErrorCode } from '../model/error.ts';

export const PathProblem = z
  .object({ path: z.string(), message: z.string() })
  .meta({ id: 'PathProblem', description: 'A part of the input, such as `data.lines[0].sku`.' });

export const Problem = z
  .object({
    title: z.string(),
    status: z.int(),
    code: z.enum(ERROR_CODES).meta({ description: 'The stable name of the problem.' }),
    detail: z.string(),
    errors: z.array(PathProblem).optional(),
  })
  .meta({ id: 'Problem', description: 'An error, RFC 9457; `type` is left out: `about:blank`.' });

/** One response for each status of these codes. */
export function problemResponses(
  codes: readonly ErrorCode[],
): Readonly<Record<string, ZodOpenApiResponseObject>> {
  const statuses = [...new Set(codes.map(statusOf))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => {
      const ofStatus = [...new Set(codes.filter((code) => statusOf(code) === status))];
      return [String(status), problemResponse(status, ofStatus)];
    }),
  );
}

function problemResponse(status: number, codes: readonly ErrorCode[]): ZodOpenApiResponseObject {
  const headers = headersOf(status);
  return {
    description: `${STATUS_CODES[status]}: ${codes.map((code) => `\`${code}\``).join(', ')}`,
    ...(headers && { headers }),
    content: {
      'application/problem+json': {
        // One shape for every problem, narrowed to what this answer can say.
        schema: {
          $ref: '#/components/schemas/Problem',
          properties: { status: { const: status }, code: { enum: [...codes] } },
        },
        example: {
          title: STATUS_CODES[status],
          status,
          code: codes[0],
          detail: 'What happened, to which input, and what to do next.',
        },
      },
    },
  };
}

function headersOf(status: number): z.ZodObject | undefined {
  switch (status) {
    case 401:
      return z.object({ 'WWW-Authenticate': z.string().optional() });
    case 429:
    case 503:
      return z.object({ 'Retry-After': z.string().regex(/^\d+$/) });
    default:
      return undefined;
  }
}
