/** The parts that we read of GitHub's payloads: https://docs.github.com/webhooks/webhook-events-and-payloads */
import { z } from 'zod';

/** A deleted account is null. */
const user = z.object({ login: z.string() }).nullish();
const repository = z.object({ full_name: z.string(), pushed_at: z.unknown() });
const sender = z.object({ login: z.string(), type: z.string().optional() });

const common = { repository, sender } as const;

export const IssuesPayload = z.object({
  ...common,
  action: z.string(),
  issue: z.object({
    number: z.int(),
    title: z.string(),
    html_url: z.string(),
    user,
    labels: z.array(z.object({ name: z.string() })).nullish(),
    updated_at: z.string().nullish(),
  }),
});

export const PullRequestPayload = z.object({
  ...common,
  action: z.string(),
  pull_request: z.object({
    number: z.int(),
    title: z.string(),
    html_url: z.string(),
    user,
    head: z.object({ ref: z.string() }),
    base: z.object({ ref: z.string() }),
    draft: z.boolean().nullish(),
    merged: z.boolean().nullish(),
    merged_by: user,
    merge_commit_sha: z.string().nullish(),
    updated_at: z.string().nullish(),
  }),
});

export const PushPayload = z.object({
  ...common,
  ref: z.string(),
  before: z.string(),
  after: z.string(),
  deleted: z.boolean(),
  forced: z.boolean(),
  compare: z.string(),
  commits: z.array(z.unknown()),
  head_commit: z.object({ message: z.string() }).nullish(),
  pusher: z.object({ name: z.string() }),
});
