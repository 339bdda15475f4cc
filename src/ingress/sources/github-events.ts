import { z } from 'zod';

const issue = z.object({
  /** `owner/name` */
  repository: z.string(),
  number: z.int(),
  title: z.string(),
  url: z.string(),
  author: z.string(),
  labels: z.array(z.string()),
});

const pullRequest = z.object({
  /** `owner/name` */
  repository: z.string(),
  number: z.int(),
  title: z.string(),
  url: z.string(),
  author: z.string(),
  /** The branch that the changes come from. */
  head: z.string(),
  /** The branch that they go to. */
  base: z.string(),
  isDraft: z.boolean(),
});

const push = z.object({
  /** `owner/name` */
  repository: z.string(),
  branch: z.string(),
  before: z.string(),
  after: z.string(),
  isForced: z.boolean(),
  /** At most 2,048: GitHub lists no more. */
  commitCount: z.int(),
  /** The first line of the last commit's message; empty for a branch without commits of its own. */
  headline: z.string(),
  pusher: z.string(),
  compareUrl: z.string(),
});

/**
 * What the GitHub source says happened: `defineEvents({ ...githubEvents, … })`. The subject of an
 * issue or pull request is `owner/name#number`, of a push `owner/name@branch`.
 */
export const githubEvents = {
  'issue.opened': issue,
  'issue.closed': issue,
  'issue.reopened': issue,
  'pull_request.opened': pullRequest,
  'pull_request.reopened': pullRequest,
  'pull_request.closed': pullRequest,
  'pull_request.merged': pullRequest.extend({ mergedBy: z.string(), mergeCommit: z.string() }),
  'code.pushed': push,
} as const;
