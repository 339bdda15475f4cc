import { defineConnector, slackConnector } from 'tidegate/connectors';
import { z } from 'zod';

export interface Deal {
  readonly id: string;
  readonly name: string;
  readonly stage: string;
}

/** Acme's CRM. Set TIDEGATE_CRM_BASE_URL and TIDEGATE_CRM_TOKEN to call the real one. */
export const crmConnector = defineConnector({
  name: 'crm',
  config: z.object({ baseUrl: z.url(), token: z.string() }),
  retry: { attempts: 6, initial: '500ms', max: '1m', within: '15m' },
  operations: {
    getDeal: {
      effect: 'read',
      timeout: '10s',
      run: async (input: { id: string }, call) =>
        (await (await call.fetch(`/deals/${encodeURIComponent(input.id)}`)).json()) as Deal,
    },
    addNote: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { dealId: string; text: string }, call) => {
        await call.fetch(`/deals/${encodeURIComponent(input.dealId)}/notes`, {
          method: 'POST',
          json: { text: input.text },
        });
      },
    },
  },
  fake: {
    getDeal: async ({ id }) => ({ id, name: `Deal ${id}`, stage: 'won' }),
  },
});

export const connectors = [crmConnector, slackConnector];
