import { z } from 'zod';

const issue = z.object({
  /** The host of the Jira site, such as `acme.atlassian.net`. */
  site: z.string(),
  issueId: z.string(),
  /** Such as `SHOP-17`; another one when the issue is moved. */
  key: z.string(),
  project: z.string(),
  /** Such as `Bug`. */
  type: z.string(),
  summary: z.string(),
  /** As it is named in the project, such as `In Progress`. */
  status: z.string(),
  priority: z.string().optional(),
  assigneeId: z.string().optional(),
  reporterId: z.string().optional(),
  labels: z.array(z.string()),
});

const sprint = z.object({
  site: z.string(),
  sprintId: z.string(),
  name: z.string(),
  boardId: z.string().optional(),
  goal: z.string().optional(),
  /** RFC 3339. */
  startsAt: z.string().optional(),
  endsAt: z.string().optional(),
});

/**
 * What the Jira source says happened: `defineEvents({ ...jiraEvents, … })`. The subject of issues and comments is
 * the issue's key, of a sprint its id.
 */
export const jiraEvents = {
  'issue.created': issue,
  'issue.updated': issue.extend({
    changes: z.array(
      z.object({
        /** Such as `assignee`, `Sprint`, or the name of a custom field. */
        field: z.string(),
        /** As people see it; absent for none, and for more than 1,000 characters. */
        from: z.string().optional(),
        to: z.string().optional(),
      }),
    ),
  }),
  /** Beside `issue.updated`, when the status is among the changes. */
  'issue.transitioned': issue.extend({ from: z.string(), to: z.string() }),
  'issue.deleted': issue,
  'comment.added': z.object({
    site: z.string(),
    issueId: z.string(),
    key: z.string(),
    commentId: z.string(),
    authorId: z.string().optional(),
    commentText: z.string().meta({ pii: true }).optional(),
  }),
  'sprint.started': sprint,
  'sprint.closed': sprint,
} as const;
