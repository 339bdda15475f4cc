import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { LIMITS } from '../../model/limits.ts';
import { isRecord } from '../json.ts';
import type { Mapped, Source, SourceEvent } from '../source.ts';
import { jiraSignature } from '../verifiers/body-hmac.ts';
import { eventTime } from './event-time.ts';
import type { jiraEvents } from './jira-events.ts';
import { CommentPayload, IssuePayload, type JiraUser, SprintPayload } from './jira-payloads.ts';
import { by, factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';

/**
 * Jira's webhooks of administrators, of Cloud and Data Center, with a secret. Set TIDEGATE_SOURCE_JIRA_SECRET.
 *
 * An event's id is made of the site and what the body says: the issue that was created, the entry of its
 * changelog, the comment, the sprint with its date. `X-Atlassian-Webhook-Identifier` is not signed.
 *
 * @example
 * ```ts
 * export const sources = [jiraSource()];
 * ```
 */
export const jiraSource = (options: VendorOptions = {}): Source =>
  vendorSource(
    { name: 'jira', verify: jiraSignature(), toEvents: ({ payload }) => toEvents(payload) },
    options,
  );

const fact = factsOf<typeof jiraEvents>();

function toEvents(payload: Json): Mapped {
  const kind = isRecord(payload) ? payload.webhookEvent : undefined;
  if (typeof kind !== 'string') throw new Error('the body has no webhookEvent');
  switch (kind) {
    case 'jira:issue_created':
      return [fromIssue('issue.created', IssuePayload.parse(payload))];
    case 'jira:issue_updated':
      return fromUpdate(IssuePayload.parse(payload));
    case 'jira:issue_deleted':
      return [fromIssue('issue.deleted', IssuePayload.parse(payload))];
    case 'comment_created':
      return [fromComment(CommentPayload.parse(payload))];
    case 'sprint_started':
      return [fromSprint('sprint.started', SprintPayload.parse(payload))];
    case 'sprint_closed':
      return [fromSprint('sprint.closed', SprintPayload.parse(payload))];
    default:
      return notMapped('jira', kind);
  }
}

type Issue = z.output<typeof IssuePayload>;

const siteOf = (self: string): string => new URL(self).host;
const idOf = (user: JiraUser): string | undefined =>
  known(user?.accountId ?? user?.name ?? user?.key);

const about = ({ issue, user, timestamp }: Issue) => ({
  subject: issue.key,
  ...when(timestamp),
  ...author(user),
});

function author(user: JiraUser) {
  const type = user?.accountType ?? undefined;
  const origin = type === 'app' ? 'system' : 'human';
  return { ...by(idOf(user)), ...(type === undefined ? {} : ({ origin } as const)) };
}

function dataOf({ issue: { id, self, key, fields } }: Issue) {
  return {
    site: siteOf(self),
    issueId: id,
    key,
    project: fields.project.key,
    type: fields.issuetype.name,
    summary: fields.summary,
    status: fields.status.name,
    priority: fields.priority?.name,
    assigneeId: idOf(fields.assignee),
    reporterId: idOf(fields.reporter),
    labels: fields.labels ?? [],
  };
}

const fromIssue = (type: 'issue.created' | 'issue.deleted', payload: Issue): SourceEvent =>
  fact(type, {
    id: `${siteOf(payload.issue.self)}:${type}:${payload.issue.id}`,
    ...about(payload),
    data: dataOf(payload),
  });

/** An update that changed no field is about a comment or the like, which Jira sends on its own too. */
function fromUpdate(payload: Issue): Mapped {
  const { changelog } = payload;
  if (!changelog)
    return { ignored: 'jira: an update without a changelog is not mapped to an event' };
  const id = `${siteOf(payload.issue.self)}:changelog:${changelog.id}`;
  const changes = changelog.items.map(changeOf);
  const updated = fact('issue.updated', {
    id,
    ...about(payload),
    data: { ...dataOf(payload), changes },
  });
  const status = changes.find(({ field }) => field === 'status');
  if (status?.from === undefined || status.to === undefined) return [updated];
  const transitioned = fact('issue.transitioned', {
    id: `${id}:status`,
    ...about(payload),
    data: { ...dataOf(payload), from: status.from, to: status.to },
  });
  return [updated, transitioned];
}

/** Of the item itself: every object has a `toString`, and Jira's items have a field of that name. */
function changeOf(item: unknown) {
  if (!isRecord(item) || typeof item.field !== 'string') {
    throw new Error('an item of the changelog names no field');
  }
  const text = (name: 'fromString' | 'toString'): string | undefined => {
    const value = Object.hasOwn(item, name) ? item[name] : undefined;
    const isKept = typeof value === 'string' && value.length <= LIMITS.jiraChangeCharactersMax;
    return isKept ? value : undefined;
  };
  return { field: item.field, from: text('fromString'), to: text('toString') };
}

function fromComment({ timestamp, issue, comment }: z.output<typeof CommentPayload>): SourceEvent {
  const site = siteOf(comment.self);
  return fact('comment.added', {
    id: `${site}:comment:${comment.id}`,
    subject: issue.key,
    ...when(comment.created, timestamp),
    ...author(comment.author),
    data: {
      site,
      issueId: issue.id,
      key: issue.key,
      commentId: comment.id,
      authorId: idOf(comment.author),
      commentText: typeof comment.body === 'string' ? comment.body : undefined,
    },
  });
}

/** A sprint that was closed can be opened and closed again, at another date. */
function fromSprint(
  type: 'sprint.started' | 'sprint.closed',
  { timestamp, user, sprint }: z.output<typeof SprintPayload>,
): SourceEvent {
  const site = siteOf(sprint.self);
  const date =
    type === 'sprint.closed' ? sprint.completeDate : (sprint.activatedDate ?? sprint.startDate);
  return fact(type, {
    id: `${site}:${type}:${sprint.id}:${eventTime(date) ?? ''}`,
    subject: sprint.id,
    ...when(timestamp),
    ...author(user),
    data: {
      site,
      sprintId: sprint.id,
      name: sprint.name,
      boardId: known(sprint.originBoardId),
      goal: known(sprint.goal),
      startsAt: eventTime(sprint.startDate),
      endsAt: eventTime(sprint.endDate),
    },
  });
}
