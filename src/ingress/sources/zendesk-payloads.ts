/**
 * The parts that we read of Zendesk's webhooks:
 * https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/ and, for a trigger's body,
 * docs/guides/webhooks.md
 */
import { z } from 'zod';
import { digits, idText } from './vendor.ts';

/** A placeholder that has no value is empty text; an unset reference is 0 in some events. */
const reference = z.union([z.literal(['', '0', 0]).transform(() => undefined), digits]).nullish();
/** A user's id; -1 is Zendesk itself. */
const actor = z.union([z.string(), z.int()]).nullish();
/** An array, null, or words between spaces. */
const tags = z.union([z.array(z.string()), z.string()]).nullish();

const ticket = {
  status: z.string().nullish(),
  priority: z.string().nullish(),
  requester_id: reference,
  assignee_id: reference,
  group_id: reference,
  organization_id: reference,
  tags,
} as const;

export const EventPayload = z.object({
  type: z.string(),
  id: idText,
  time: z.string().nullish(),
  detail: z.unknown(),
  event: z.unknown(),
});

export const TicketDetail = z.object({
  ...ticket,
  id: digits,
  actor_id: actor,
  subject: z.string().nullish(),
  via: z.object({ channel: z.string().nullish() }).nullish(),
});

export const StatusChange = z.object({ current: z.string(), previous: z.string().nullish() });

export const CommentAdded = z.object({
  comment: z.object({
    id: digits,
    body: z.string().nullish(),
    is_public: z.boolean().nullish(),
    author: z.object({ id: digits, is_staff: z.boolean().nullish() }).nullish(),
  }),
});

/** What the docs have the body of a trigger's webhook be. */
export const TriggerPayload = z.object({
  ...ticket,
  event: z.string(),
  ticket_id: digits,
  updated_at: z.string().nullish(),
  title: z.string().nullish(),
  actor_id: actor,
  channel: z.string().nullish(),
});
