import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { isRecord } from '../json.ts';
import type { Mapped, Source, SourceEvent } from '../source.ts';
import { zendeskSignature } from '../verifiers/timed-hmac.ts';
import { eventTime } from './event-time.ts';
import { factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';
import type { zendeskEvents } from './zendesk-events.ts';
import {
  CommentAdded,
  EventPayload,
  StatusChange,
  TicketDetail,
  TriggerPayload,
} from './zendesk-payloads.ts';

/**
 * Zendesk's webhooks: those that are subscribed to ticket events, and those of triggers, whose body is free
 * and must be the one of docs/guides/webhooks.md. Set TIDEGATE_SOURCE_ZENDESK_SECRET to the webhook's signing
 * secret, text that looks like base64.
 *
 * The id of an event is Zendesk's; a trigger's delivery has none and is known by the hash of its body, so
 * that it must say when the ticket was changed. The invocation id is a header, and not signed.
 *
 * @example
 * ```ts
 * export const sources = [zendeskSource()];
 * ```
 */
export const zendeskSource = (options: VendorOptions = {}): Source =>
  vendorSource(
    { name: 'zendesk', verify: zendeskSignature(), toEvents: ({ payload }) => toEvents(payload) },
    options,
  );

const fact = factsOf<typeof zendeskEvents>();

function toEvents(payload: Json): Mapped {
  if (!isRecord(payload)) throw new Error('the body is no object');
  if (payload.type !== undefined && payload.zendesk_event_version !== undefined) {
    return fromEvent(EventPayload.parse(payload));
  }
  if (payload.ticket_id !== undefined && typeof payload.event === 'string') {
    return fromTrigger(TriggerPayload.parse(payload));
  }
  throw new Error(
    'the body is neither that of an event of Zendesk nor that of a trigger as docs/guides/webhooks.md has it',
  );
}

const EVENT_TYPE = 'zen:event-type:';

function fromEvent(event: z.output<typeof EventPayload>): Mapped {
  const mapped = ofTicket(event);
  return mapped === undefined
    ? notMapped('zendesk', event.type.replace(EVENT_TYPE, ''))
    : [{ ...mapped, id: event.id, ...when(event.time) }];
}

function ofTicket({ type, detail, event }: z.output<typeof EventPayload>): SourceEvent | undefined {
  switch (type) {
    case `${EVENT_TYPE}ticket.created`: {
      const ticket = TicketDetail.parse(detail);
      return fact('ticket.created', { ...about(ticket, creator(ticket)), data: dataOf(ticket) });
    }
    case `${EVENT_TYPE}ticket.status_changed`: {
      const ticket = TicketDetail.parse(detail);
      const { current, previous } = StatusChange.parse(event);
      const data = { ...dataOf(ticket), to: current.toLowerCase(), from: lower(previous) };
      return fact('ticket.status_changed', { ...about(ticket), data });
    }
    case `${EVENT_TYPE}ticket.comment_added`: {
      const ticket = TicketDetail.parse(detail);
      const { comment } = CommentAdded.parse(event);
      const data = {
        ...dataOf(ticket),
        commentId: comment.id,
        commentText: known(comment.body),
        authorId: comment.author?.id,
        isPublic: known(comment.is_public),
        isByStaff: known(comment.author?.is_staff),
      };
      return fact('ticket.comment_added', { ...about(ticket), data });
    }
    default:
      return undefined;
  }
}

type Detail = z.output<typeof TicketDetail>;

/** Channels by which people write; `api`, `rule` and the like are not among them. */
const HUMAN_CHANNELS: ReadonlySet<unknown> = new Set([
  'chat',
  'email',
  'help_center',
  'mobile',
  'mobile_sdk',
  'voice',
  'web',
  'web_widget',
]);

const creator = ({ via }: Detail): { readonly origin?: 'human' | 'system' } => {
  const channel = lower(via?.channel);
  if (channel === undefined) return {};
  return { origin: HUMAN_CHANNELS.has(channel) ? 'human' : 'system' };
};

/** Who a change is by; who made a ticket can be told from its channel too. */
const about = (ticket: Detail, made: { readonly origin?: 'human' | 'system' } = {}) => ({
  subject: ticket.id,
  ...made,
  ...author(ticket.actor_id),
});

function author(id: Detail['actor_id']): Pick<SourceEvent, 'actor' | 'origin'> {
  const actor = String(id ?? '');
  if (actor === '-1') return { origin: 'system' };
  return /^[1-9]\d{0,39}$/.test(actor) ? { actor } : {};
}

const dataOf = ({ id, subject, via, ...ticket }: Detail) => ({
  ...fieldsOf(ticket),
  ticketId: id,
  title: known(subject),
  channel: lower(via?.channel),
});

const fieldsOf = (
  ticket: Pick<
    Detail,
    'status' | 'priority' | 'requester_id' | 'assignee_id' | 'group_id' | 'organization_id' | 'tags'
  >,
) => ({
  status: lower(ticket.status),
  priority: lower(ticket.priority),
  requesterId: known(ticket.requester_id),
  assigneeId: known(ticket.assignee_id),
  groupId: known(ticket.group_id),
  organizationId: known(ticket.organization_id),
  tags: tagsOf(ticket.tags),
});

const tagsOf = (tags: Detail['tags']): string[] =>
  typeof tags === 'string' ? tags.split(/\s+/).filter((tag) => tag !== '') : (tags ?? []);

/** Events write OPEN, triggers Open. */
const lower = (word: string | null | undefined): string | undefined =>
  word === null || word === undefined || word === '' ? undefined : word.toLowerCase();

type Trigger = z.output<typeof TriggerPayload>;

function fromTrigger(trigger: Trigger): Mapped {
  const { ticket_id: ticketId } = trigger;
  const common = {
    subject: ticketId,
    ...when(trigger.updated_at),
    ...author(trigger.actor_id),
  };
  const data = {
    ...fieldsOf(trigger),
    ticketId,
    title: known(trigger.title),
    channel: lower(trigger.channel),
  };
  switch (trigger.event) {
    case 'ticket.created':
      return [fact('ticket.created', { ...common, data })];
    case 'ticket.status_changed': {
      refuseTimeless(trigger);
      if (data.status === undefined) throw new Error('the trigger gives no status');
      return [fact('ticket.status_changed', { ...common, data: { ...data, to: data.status } })];
    }
    case 'ticket.comment_added':
      refuseTimeless(trigger);
      return [fact('ticket.comment_added', { ...common, data })];
    default:
      return notMapped('zendesk', trigger.event);
  }
}

/** Without a time the second change to the same status would have the body, and so the id, of the first. */
function refuseTimeless({ updated_at: updatedAt }: Trigger): void {
  if (eventTime(updatedAt) !== undefined) return;
  throw new Error(
    'the trigger does not say when the ticket was changed, with its zone, so that two changes could not be told apart: see docs/guides/webhooks.md',
  );
}
