import { accessRequest } from './stories/access-request';
import { customerOnboarding } from './stories/customer-onboarding';
import { dealDigest } from './stories/deal-digest';
import { invoicePaid } from './stories/invoice-paid';
import { leadEdits } from './stories/lead-edits';
import { orderFulfilment } from './stories/order-fulfilment';
import { productIncident } from './stories/product-incident';
import { supportVolume } from './stories/support-volume';
import type { Story } from './story';

/** In the order in which each teaches one thing more than the one before. */
export const stories: readonly Story[] = [
  dealDigest,
  leadEdits,
  supportVolume,
  productIncident,
  customerOnboarding,
  orderFulfilment,
  accessRequest,
  invoicePaid,
];
