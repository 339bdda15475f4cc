import { z } from 'zod';

const common = {
  /** The HubSpot account. */
  portalId: z.string(),
  /** Such as `CRM_UI`, `API`, `IMPORT`. */
  changeSource: z.string().optional(),
} as const;

const contact = z.object({ ...common, contactId: z.string() });
const company = z.object({ ...common, companyId: z.string() });
const deal = z.object({ ...common, dealId: z.string() });

const property = {
  property: z.string(),
  /** HubSpot writes every value as text; empty when it was taken away. */
  propertyValue: z.string().meta({ pii: true }),
} as const;

/**
 * What the HubSpot source says happened: `defineEvents({ ...hubspotEvents, … })`. The subject is the id of the
 * contact, company or deal.
 */
export const hubspotEvents = {
  'contact.created': contact,
  'contact.property_changed': contact.extend(property),
  'contact.deleted': contact,
  /** Deleted because the person asked for it: what your side keeps of them must go too. */
  'contact.erased': contact,
  'company.created': company,
  'company.property_changed': company.extend(property),
  'company.deleted': company,
  'deal.created': deal,
  /** The property `dealstage`; it is no `deal.property_changed`. */
  'deal.stage_changed': deal.extend({ stage: z.string() }),
  'deal.property_changed': deal.extend(property),
  'deal.deleted': deal,
} as const;
