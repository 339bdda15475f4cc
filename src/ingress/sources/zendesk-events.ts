import { z } from 'zod';

const ticket = z.object({
  ticketId: z.string(),
  /** In lower case, such as `open`. */
  status: z.string().optional(),
  /** In lower case, such as `urgent`. */
  priority: z.string().optional(),
  title: z.string().optional(),
  requesterId: z.string().optional(),
  assigneeId: z.string().optional(),
  groupId: z.string().optional(),
  organizationId: z.string().optional(),
  /** How it came, such as `email` or `api`. */
  channel: z.string().optional(),
  tags: z.array(z.string()),
});

/**
 * What the Zendesk source says happened: `defineEvents({ ...zendeskEvents, … })`. The subject is the ticket's
 * id. A trigger's webhook says only what its body was given.
 */
export const zendeskEvents = {
  'ticket.created': ticket,
  'ticket.status_changed': ticket.extend({
    /** Unknown to triggers. */
    from: z.string().optional(),
    to: z.string(),
  }),
  'ticket.comment_added': ticket.extend({
    commentId: z.string().optional(),
    commentText: z.string().meta({ pii: true }).optional(),
    authorId: z.string().optional(),
    isPublic: z.boolean().optional(),
    /** Whether an agent wrote it. */
    isByStaff: z.boolean().optional(),
  }),
} as const;
