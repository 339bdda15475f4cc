import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { textProblem } from '../../model/run.ts';
import { defineSource, type Mapped, type SourceDelivery, type SourceEvent } from '../source.ts';
import { githubSignature } from '../verifiers/body-hmac.ts';
import { IssuesPayload, PullRequestPayload, PushPayload } from './github-payloads.ts';
import { when } from './vendor.ts';

/**
 * GitHub's webhooks, in JSON or form encoding, signed with `X-Hub-Signature-256`; the older SHA-1
 * signature is not looked at. Set TIDEGATE_SOURCE_GITHUB_SECRET.
 *
 * `X-GitHub-Delivery` is not signed: an event's id is the hash of the signed body, so that a body sent
 * again under a new delivery id is a duplicate. The delivery id is kept as `causationid`, by which
 * people find the delivery in GitHub's settings.
 */
export const githubSource = defineSource({
  name: 'github',
  verify: githubSignature(),
  formField: 'payload',
  toEvents(delivery) {
    const name = delivery.headers['x-github-event'];
    switch (name) {
      case 'ping':
        return [];
      case 'issues':
        return withDelivery(delivery, fromIssues(IssuesPayload.parse(delivery.payload)));
      case 'pull_request':
        return withDelivery(delivery, fromPullRequest(PullRequestPayload.parse(delivery.payload)));
      case 'push':
        return withDelivery(delivery, fromPush(PushPayload.parse(delivery.payload)));
      case undefined:
        throw new Error('the header X-GitHub-Event is missing');
      default:
        return { ignored: `github: ${safeName(name)} is not mapped to an event` };
    }
  },
});

type OneMapped = SourceEvent | { readonly ignored: string };

const ISSUE_FACTS: Readonly<Partial<Record<string, string>>> = {
  opened: 'issue.opened',
  closed: 'issue.closed',
  reopened: 'issue.reopened',
};

function fromIssues(payload: z.output<typeof IssuesPayload>): OneMapped {
  const { action, issue, repository } = payload;
  const type = Object.hasOwn(ISSUE_FACTS, action) ? ISSUE_FACTS[action] : undefined;
  if (type === undefined) return notMapped('issues', action);
  const data = {
    repository: repository.full_name,
    number: issue.number,
    title: issue.title,
    url: issue.html_url,
    author: issue.user?.login ?? 'ghost',
    labels: (issue.labels ?? []).map(({ name }) => name),
  };
  const subject = `${repository.full_name}#${issue.number}`;
  return { type, subject, data, ...when(issue.updated_at), ...by(payload.sender) };
}

function fromPullRequest(payload: z.output<typeof PullRequestPayload>): OneMapped {
  const { action, pull_request: pull, repository } = payload;
  const type = pullRequestFact(action, pull.merged === true);
  if (type === undefined) return notMapped('pull_request', action);
  const data = {
    repository: repository.full_name,
    number: pull.number,
    title: pull.title,
    url: pull.html_url,
    author: pull.user?.login ?? 'ghost',
    head: pull.head.ref,
    base: pull.base.ref,
    isDraft: pull.draft === true,
  };
  const merge = {
    mergedBy: pull.merged_by?.login ?? 'ghost',
    mergeCommit: pull.merge_commit_sha ?? '',
  };
  return {
    type,
    subject: `${repository.full_name}#${pull.number}`,
    data: type === 'pull_request.merged' ? { ...data, ...merge } : data,
    ...when(pull.updated_at),
    ...by(payload.sender),
  };
}

function pullRequestFact(action: string, isMerged: boolean): string | undefined {
  switch (action) {
    case 'opened':
    case 'reopened':
      return `pull_request.${action}`;
    case 'closed':
      return isMerged ? 'pull_request.merged' : 'pull_request.closed';
    default:
      return undefined;
  }
}

function fromPush(payload: z.output<typeof PushPayload>): OneMapped {
  const { ref, repository } = payload;
  if (!ref.startsWith('refs/heads/')) return { ignored: 'github: a push of a tag is not mapped' };
  if (payload.deleted) return { ignored: 'github: the deletion of a branch is not mapped' };
  const branch = ref.slice('refs/heads/'.length);
  const data = {
    repository: repository.full_name,
    branch,
    before: payload.before,
    after: payload.after,
    isForced: payload.forced,
    commitCount: payload.commits.length,
    headline: payload.head_commit?.message.split('\n')[0] ?? '',
    pusher: payload.pusher.name,
    compareUrl: payload.compare,
  };
  const subject = `${repository.full_name}@${branch}`;
  return {
    type: 'code.pushed',
    subject,
    data,
    ...when(repository.pushed_at),
    ...by(payload.sender),
  };
}

function withDelivery({ headers }: SourceDelivery, mapped: OneMapped): Mapped {
  if ('ignored' in mapped) return mapped;
  const delivery = headers['x-github-delivery'];
  const isUsable = typeof delivery === 'string' && isAttribute(delivery);
  return [isUsable ? { ...mapped, causationid: delivery } : mapped];
}

const isAttribute = (text: string): boolean =>
  text !== '' && text.length <= LIMITS.attributeCharactersMax && textProblem(text) === undefined;

function by(sender: { readonly login: string; readonly type?: string | undefined }) {
  const origin = sender.type === 'User' ? 'human' : 'system';
  return { actor: sender.login, origin } as const;
}

const notMapped = (event: string, action: string): OneMapped => ({
  ignored: `github: ${event}.${safeName(action)} is not mapped to an event`,
});

/** What can be repeated in an answer: a word, not whatever a header holds. */
const safeName = (name: Json | readonly string[]): string =>
  typeof name === 'string' && /^[a-z_]{1,64}$/.test(name) ? name : 'this';
