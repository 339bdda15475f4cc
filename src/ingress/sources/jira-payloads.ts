/** The parts that we read of Jira's webhooks: https://developer.atlassian.com/cloud/jira/platform/webhooks/ */
import { z } from 'zod';
import { digits, idText } from './vendor.ts';

const named = z.object({ name: z.string() });

/** Cloud has `accountId`, Data Center `name` or `key`. */
const user = z
  .object({
    accountId: z.string().nullish(),
    accountType: z.string().nullish(),
    name: z.string().nullish(),
    key: z.string().nullish(),
  })
  .nullish();
export type JiraUser = z.output<typeof user>;

/** Where it is in Jira: the host tells two sites apart, whose ids are the same. */
const self = z.url({ protocol: /^https?$/ });
const key = idText;

export const IssuePayload = z.object({
  timestamp: z.number().nullish(),
  user,
  issue: z.object({
    id: digits,
    self,
    key,
    fields: z.object({
      summary: z.string(),
      status: named,
      issuetype: named,
      project: z.object({ key }),
      priority: named.nullish(),
      assignee: user,
      reporter: user,
      labels: z.array(z.string()).nullish(),
      created: z.string().nullish(),
    }),
  }),
  changelog: z.object({ id: digits, items: z.array(z.unknown()) }).nullish(),
});

export const CommentPayload = z.object({
  timestamp: z.number().nullish(),
  issue: z.object({ id: digits, key }),
  comment: z.object({
    id: digits,
    self,
    /** Text; a document where an app wrote one. */
    body: z.unknown(),
    author: user,
    created: z.string().nullish(),
  }),
});

export const SprintPayload = z.object({
  timestamp: z.number().nullish(),
  user,
  sprint: z.object({
    id: digits,
    self,
    name: z.string(),
    goal: z.string().nullish(),
    originBoardId: digits.nullish(),
    startDate: z.string().nullish(),
    endDate: z.string().nullish(),
    activatedDate: z.string().nullish(),
    completeDate: z.string().nullish(),
  }),
});
