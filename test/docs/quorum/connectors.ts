import { slackConnector } from 'tidegate/connectors';

export const connectors = [slackConnector];
