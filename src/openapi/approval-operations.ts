/** The page behind an approval link. Its problems are pages too. */
import { z } from 'zod';
import type { ZodOpenApiResponseObject } from 'zod-openapi';
import type { Operation } from './operation.ts';

const html = (description: string): ZodOpenApiResponseObject => ({
  description,
  content: { 'text/html': { schema: z.string() } },
});
const again: ZodOpenApiResponseObject = {
  ...html('Nothing was lost: try again. Or approvals are not set up.'),
  headers: z.object({ 'Retry-After': z.string().regex(/^\d+$/) }),
};

const shown = {
  200: html('The question, or how it ended.'),
  403: html('This approver is not asked any more; or `host_refused`.'),
  404: html('The link does not work.'),
  410: html('Its time is over.'),
  500: html('Something failed on our side.'),
  503: again,
};

const path = z.object({
  token: z.string().meta({ description: 'The credential of an approver.' }),
});

export const APPROVAL_OPERATIONS: readonly Operation[] = [
  {
    method: 'get',
    path: '/{token}',
    id: 'showApproval',
    summary: 'The page of an approval link. Changes nothing.',
    secured: false,
    params: { path },
    answers: shown,
    problems: [],
  },
  {
    method: 'post',
    path: '/{token}',
    id: 'answerApproval',
    summary: 'What the buttons of the page send.',
    secured: false,
    params: { path },
    body: {
      required: true,
      content: {
        'application/x-www-form-urlencoded': {
          schema: z.object({
            action: z.enum(['approve', 'reject']),
            reason: z.string().optional(),
          }),
          example: { action: 'approve', reason: 'fine' },
        },
      },
    },
    answers: {
      ...shown,
      400: html('The form is broken.'),
      409: html('The opposite was said before, and stands.'),
      413: html('The form is too large.'),
      415: html('It is not the form, or it is compressed.'),
      422: html('What is wrong with the form.'),
    },
    problems: [],
  },
];
