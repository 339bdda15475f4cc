/** The parts that we read of HubSpot's notifications: https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide */
import { z } from 'zod';
import { digits } from './vendor.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]).nullish();

export const NotificationPayload = z.object({
  /** Not unique, says HubSpot. */
  eventId: z.union([digits, z.string()]).nullish(),
  subscriptionId: digits.nullish(),
  portalId: digits,
  occurredAt: z.union([z.number(), z.string()]),
  /** Live deliveries write the first, HubSpot's documentation the second. */
  subscriptionType: z.string().nullish(),
  eventType: z.string().nullish(),
  objectId: digits,
  /** Of subscriptions to `object.*`: `0-1` is a contact. */
  objectTypeId: z.string().nullish(),
  propertyName: z.string().nullish(),
  propertyValue: scalar,
  changeSource: z.string().nullish(),
  sourceId: z.string().nullish(),
});
