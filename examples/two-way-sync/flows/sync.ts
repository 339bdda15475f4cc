import { connector, flowsFor } from 'tidegate/flow';
import type { alphaConnector, betaConnector } from '../connectors';
import type { events } from '../events';

const flow = flowsFor<typeof events>();
const alpha = connector<typeof alphaConnector>('alpha');
const beta = connector<typeof betaConnector>('beta');

export const alphaToBeta = flow({
  on: 'alpha.contact_changed',
  fuse: { limit: 10, per: '1m' },
  key: (event) => event.data.contactId,
  run: ({ data }) => beta.updateContact(data),
});

export const betaToAlpha = flow({
  on: 'beta.contact_changed',
  fuse: { limit: 10, per: '1m' },
  key: (event) => event.data.contactId,
  run: ({ data }) => alpha.updateContact(data),
});
