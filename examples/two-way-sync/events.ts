import { defineEvents } from 'tidegate/contracts';
import { z } from 'zod';

const contactChanged = z.object({
  contactId: z.string(),
  /** The fields that were changed, with their new values. */
  fields: z.record(z.string(), z.string()),
});

export const events = defineEvents({
  'alpha.contact_changed': contactChanged,
  'beta.contact_changed': contactChanged,
});
