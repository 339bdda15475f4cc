import type { slackConnector } from 'tidegate/connectors';
import { connector } from 'tidegate/flow';
import type {
  billingConnector,
  crmConnector,
  directoryConnector,
  inventoryConnector,
  ledgerConnector,
  pagingConnector,
  shippingConnector,
  statusPageConnector,
  trackerConnector,
} from '../connectors';

export const billing = connector<typeof billingConnector>('billing');
export const crm = connector<typeof crmConnector>('crm');
export const directory = connector<typeof directoryConnector>('directory');
export const inventory = connector<typeof inventoryConnector>('inventory');
export const ledger = connector<typeof ledgerConnector>('ledger');
export const paging = connector<typeof pagingConnector>('paging');
export const shipping = connector<typeof shippingConnector>('shipping');
export const slack = connector<typeof slackConnector>('slack');
export const statusPage = connector<typeof statusPageConnector>('statusPage');
export const tracker = connector<typeof trackerConnector>('tracker');
