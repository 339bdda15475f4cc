import { z } from 'zod';
import { defineConnector } from '../../../src/connectors/define-connector.ts';
import type { OperationsOf } from '../../../src/model/connector.ts';

interface Deal {
  readonly id: string;
  readonly name: string;
}
export const crm = defineConnector({
  name: 'crm',
  config: z.object({ baseUrl: z.url(), token: z.string() }),
  rateLimit: { limit: 10, per: '1s' },
  retry: { attempts: 6, initial: '500ms', max: '1m', within: '15m' },
  operations: {
    getDeal: {
      effect: 'read',
      timeout: '10s',
      run: async (input: { id: string }, call) =>
        (await call.fetch(`/deals/${input.id}`)).json() as Promise<Deal>,
    },
    findDeal: {
      effect: 'read',
      timeout: '10s',
      run: async (_: { name: string }): Promise<Deal | undefined> => undefined,
    },
    addNote: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { dealId: string; text: string }, call) => {
        await call.fetch(`/deals/${input.dealId}/notes`, { method: 'POST', json: input });
      },
    },
  },
  fake: { getDeal: (input) => ({ id: input.id, name: 'a deal' }), findDeal: () => undefined },
});

// Checked by the compiler: what a flow sees of the connector.
type Crm = OperationsOf<typeof crm>;
export const asFlowsSeeIt = async (flow: Crm): Promise<void> => {
  const deal: Deal = await flow.getDeal({ id: '17' });
  const found: Deal | null = await flow.findDeal({ name: deal.name });
  await flow.addNote({ dealId: found?.id ?? '', text: '' });
  // @ts-expect-error the input has a type
  await flow.getDeal({ ident: '17' });
  // @ts-expect-error no such operation
  await flow.getDeals();
};
export const typos = () => {
  const config = z.object({ token: z.string() });
  defineConnector({
    name: 'x',
    config,
    // @ts-expect-error no such option
    operations: { a: { effect: 'read', timeout: '1s', tmeout: 4, run: async (i: string) => i } },
  });
  defineConnector({
    name: 'x',
    config,
    operations: {
      // @ts-expect-error no such field in the configuration
      a: { effect: 'read', timeout: '1s', run: async (i: string, call) => i + call.config.tken },
    },
  });
  defineConnector({
    name: 'x',
    config,
    operations: { a: { effect: 'read', timeout: '1s', run: async (i: string) => i } },
    // @ts-expect-error not what the operation returns
    fake: { a: () => 1 },
  });
  defineConnector({
    name: 'x',
    config,
    operations: { a: { effect: 'read', timeout: '1s', run: async (i: string) => i } },
    // @ts-expect-error no such operation
    fake: { b: () => '' },
  });
};
