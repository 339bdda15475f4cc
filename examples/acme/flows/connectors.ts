import type { slackConnector } from 'tidegate/connectors';
import { connector } from 'tidegate/flow';
import type { crmConnector } from '../connectors';

export const crm = connector<typeof crmConnector>('crm');
export const slack = connector<typeof slackConnector>('slack');
