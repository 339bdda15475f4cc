import { defineConnector } from 'tidegate/connectors';
import { z } from 'zod';

export interface ContactUpdate {
  readonly contactId: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Both systems are the same product. */
const crmConnector = <const Name extends string>(name: Name) =>
  defineConnector({
    name,
    config: z.object({ baseUrl: z.url(), token: z.string() }),
    operations: {
      updateContact: {
        effect: 'write',
        timeout: '10s',
        writes: ({ contactId, fields }: ContactUpdate) => ({
          object: `contact/${contactId}`,
          fields,
        }),
        run: async ({ contactId, fields }: ContactUpdate, call) => {
          const path = `/contacts/${encodeURIComponent(contactId)}`;
          await call.fetch(path, { method: 'PATCH', json: fields });
        },
      },
    },
  });

export const alphaConnector = crmConnector('alpha');
export const betaConnector = crmConnector('beta');

export const connectors = [alphaConnector, betaConnector];
