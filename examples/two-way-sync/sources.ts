import { defineSource, hmacSignature, type SourceEvent } from 'tidegate/ingress';
import { z } from 'zod';

const Webhook = z.object({
  id: z.string(),
  contact: z.string(),
  changed: z.record(z.string(), z.string()),
  by: z.string(),
});

const verify = hmacSignature({ header: 'x-crm-signature', prefix: 'sha256=', encoding: 'hex' });

/** The user of our connectors in both systems, and the flow that writes to each. */
const OUR_USER = 'tidegate';
const WRITER = { alpha: 'tidegate:betaToAlpha', beta: 'tidegate:alphaToBeta' } as const;

function contactEvent(system: 'alpha' | 'beta', payload: unknown): SourceEvent {
  const { id, contact, changed, by } = Webhook.parse(payload);
  return {
    id,
    type: `${system}.contact_changed`,
    subject: contact,
    data: { contactId: contact, fields: changed },
    actor: by,
    origin: by === OUR_USER ? WRITER[system] : 'human',
    change: { object: `contact/${contact}`, fields: changed },
  };
}

export const sources = [
  defineSource({
    name: 'alpha',
    verify,
    toEvents: ({ payload }) => [contactEvent('alpha', payload)],
  }),
  defineSource({
    name: 'beta',
    verify,
    toEvents: ({ payload }) => [contactEvent('beta', payload)],
  }),
];
