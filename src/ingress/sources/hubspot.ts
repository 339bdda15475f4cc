import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { sha256 } from '../refusal.ts';
import { type Mapped, mapRecords, type Source, type SourceEvent } from '../source.ts';
import { hubspotSignature } from '../verifiers/address-hmac.ts';
import type { hubspotEvents } from './hubspot-events.ts';
import { NotificationPayload } from './hubspot-payloads.ts';
import { by, factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';

/**
 * HubSpot's webhooks of an app, up to a hundred notifications of any kinds in a request. Set
 * TIDEGATE_SOURCE_HUBSPOT_SECRET to the app's client secret, and TIDEGATE_PUBLIC_URL, which HubSpot signs.
 *
 * `eventId` is not unique and `attemptNumber` counts retries, so an event's id is the hash of what a
 * notification says happened, and when. A notification that cannot be mapped is a dead letter of its own.
 *
 * @example
 * ```ts
 * export const sources = [hubspotSource()];
 * ```
 */
export const hubspotSource = (options: VendorOptions = {}): Source =>
  vendorSource(
    { name: 'hubspot', verify: hubspotSignature(), toEvents: ({ payload }) => toEvents(payload) },
    options,
  );

type Notification = z.output<typeof NotificationPayload>;
const fact = factsOf<typeof hubspotEvents>();

function toEvents(payload: Json): Mapped {
  if (!Array.isArray(payload)) {
    throw new Error('the body is no array: it is of a workflow, not of an app’s webhooks');
  }
  return mapRecords(payload, (record) => fromNotification(NotificationPayload.parse(record)));
}

function fromNotification(notification: Notification): SourceEvent | { readonly ignored: string } {
  const kind = kindOf(notification);
  const mapped = toEvent(kind, notification);
  return mapped === undefined
    ? notMapped('hubspot', kind)
    : { ...mapped, id: identity(kind, notification), ...when(notification.occurredAt) };
}

const OBJECT_TYPES: ReadonlyMap<string, string> = new Map([
  ['0-1', 'contact'],
  ['0-2', 'company'],
  ['0-3', 'deal'],
]);

/** Such as `contact.creation`, also for a subscription to `object.creation`. */
function kindOf({ subscriptionType, eventType, objectTypeId }: Notification): string {
  const type = subscriptionType ?? eventType;
  if (!type) throw new Error('the notification has neither subscriptionType nor eventType');
  const object = OBJECT_TYPES.get(objectTypeId ?? '');
  return object === undefined ? type : type.replace(/^object\./, `${object}.`);
}

/** Everything that tells one change from another, and nothing that counts attempts. */
const identity = (kind: string, notification: Notification): string =>
  sha256(
    JSON.stringify([
      kind,
      notification.portalId,
      notification.subscriptionId ?? null,
      notification.eventId ?? null,
      notification.objectId,
      notification.occurredAt,
      notification.propertyName ?? null,
      notification.propertyValue ?? null,
    ]),
  );

function toEvent(kind: string, notification: Notification): SourceEvent | undefined {
  const { objectId } = notification;
  const envelope = { subject: objectId, ...author(notification) };
  const contact = { ...dataOf(notification), contactId: objectId };
  const company = { ...dataOf(notification), companyId: objectId };
  const deal = { ...dataOf(notification), dealId: objectId };
  switch (kind) {
    case 'contact.creation':
      return fact('contact.created', { ...envelope, data: contact });
    case 'contact.propertyChange': {
      const { changed, change } = changeOf('contact', notification);
      return fact('contact.property_changed', {
        ...envelope,
        change,
        data: { ...contact, ...changed },
      });
    }
    case 'contact.deletion':
      return fact('contact.deleted', { ...envelope, data: contact });
    case 'contact.privacyDeletion':
      return fact('contact.erased', { ...envelope, data: contact });
    case 'company.creation':
      return fact('company.created', { ...envelope, data: company });
    case 'company.propertyChange': {
      const { changed, change } = changeOf('company', notification);
      return fact('company.property_changed', {
        ...envelope,
        change,
        data: { ...company, ...changed },
      });
    }
    case 'company.deletion':
      return fact('company.deleted', { ...envelope, data: company });
    case 'deal.creation':
      return fact('deal.created', { ...envelope, data: deal });
    case 'deal.propertyChange': {
      const { changed, change } = changeOf('deal', notification);
      if (changed.property !== 'dealstage') {
        return fact('deal.property_changed', {
          ...envelope,
          change,
          data: { ...deal, ...changed },
        });
      }
      const stage = changed.propertyValue;
      return fact('deal.stage_changed', { ...envelope, change, data: { ...deal, stage } });
    }
    case 'deal.deletion':
      return fact('deal.deleted', { ...envelope, data: deal });
    default:
      return undefined;
  }
}

const dataOf = ({ portalId, changeSource }: Notification) => ({
  portalId,
  changeSource: known(changeSource),
});

/** What was changed, for the flow and for recognising what our own connector wrote. */
function changeOf(object: string, { objectId, propertyName, propertyValue }: Notification) {
  if (!propertyName) throw new Error('the notification of a change names no property');
  const value = String(propertyValue ?? '');
  return {
    changed: { property: propertyName, propertyValue: value },
    change: { object: `${object}/${objectId}`, fields: { [propertyName]: value } },
  };
}

/** `sourceId` is `userId:<digits>` where a user did it; other sources have other things there. */
function author({ changeSource, sourceId }: Notification) {
  const [, userId] = /^userId:(\d+)$/.exec(sourceId ?? '') ?? [];
  const origin = changeSource === 'CRM_UI' ? 'human' : 'system';
  return { ...by(userId), ...(changeSource ? ({ origin } as const) : {}) };
}
