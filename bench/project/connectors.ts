import { httpConnector } from 'tidegate/connectors';

export const connectors = [httpConnector];
