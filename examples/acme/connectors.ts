import {
  defineConnector,
  type OperationContext,
  operationError,
  slackConnector,
} from 'tidegate/connectors';
import { z } from 'zod';

/** Every system of Acme is configured alike: TIDEGATE_CRM_BASE_URL, TIDEGATE_CRM_TOKEN, and so on. */
const config = z.object({ baseUrl: z.url(), token: z.string() });

/** Changes something; `call.fetch` sends the idempotency key along, so that a repeat changes nothing. */
const post = (call: OperationContext<unknown>, path: string, json: unknown): Promise<Response> =>
  call.fetch(path, { method: 'POST', json });

export interface Deal {
  readonly id: string;
  readonly name: string;
  readonly stage: string;
}
export interface Customer {
  readonly id: string;
  readonly company: string;
  readonly status: 'signed' | 'active' | 'declined';
}

/** Acme's CRM. Set TIDEGATE_CRM_BASE_URL and TIDEGATE_CRM_TOKEN to call the real one. */
export const crmConnector = defineConnector({
  name: 'crm',
  config,
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
        await post(call, `/deals/${encodeURIComponent(input.dealId)}/notes`, { text: input.text });
      },
    },
    getCustomer: {
      effect: 'read',
      timeout: '10s',
      run: async (input: { id: string }, call) =>
        (await (await call.fetch(`/customers/${encodeURIComponent(input.id)}`)).json()) as Customer,
    },
    setCustomerStatus: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { id: string; status: Customer['status'] }, call) => {
        await post(call, `/customers/${encodeURIComponent(input.id)}/status`, {
          status: input.status,
        });
      },
    },
  },
  fake: {
    getDeal: async ({ id }) => ({ id, name: `Deal ${id}`, stage: 'won' }),
    getCustomer: ({ id }): Customer => ({
      id,
      company: `Company ${id}`,
      status: id.startsWith('active') ? 'active' : 'signed',
    }),
  },
});

/** Its fake has no chairs left. */
export const inventoryConnector = defineConnector({
  name: 'inventory',
  config,
  operations: {
    reserve: {
      effect: 'write',
      timeout: '10s',
      run: async (
        input: { orderId: string; lines: readonly { sku: string; quantity: number }[] },
        call,
      ) => {
        await post(call, '/reservations', input);
      },
    },
    release: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { orderId: string }, call) => {
        await post(call, '/reservations/release', input);
      },
    },
  },
  fake: {
    reserve: ({ lines }) => {
      if (lines.some(({ sku }) => sku === 'chair')) {
        throw operationError('fatal', 'there is no chair left');
      }
    },
  },
});

export const billingConnector = defineConnector({
  name: 'billing',
  config,
  operations: {
    charge: {
      effect: 'write',
      timeout: '30s',
      run: async (
        input: { orderId: string; customerId: string; amount: number; currency: string },
        call,
      ) => {
        await post(call, '/charges', input);
      },
    },
    refund: {
      effect: 'write',
      timeout: '30s',
      run: async (input: { orderId: string }, call) => {
        await post(call, '/refunds', input);
      },
    },
    sendReceipt: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { invoiceId: string; to: string }, call) => {
        await post(call, '/receipts', input);
      },
    },
    creditReferral: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { customerId: string }, call) => {
        await post(call, '/referral-credits', input);
      },
    },
  },
});

export interface Parcel {
  readonly tracking: string;
}

/** Its fake delivers everywhere but to the address `nowhere`. */
export const shippingConnector = defineConnector({
  name: 'shipping',
  config,
  operations: {
    ship: {
      effect: 'write',
      timeout: '30s',
      run: async (input: { orderId: string; address: string }, call) =>
        (await (await post(call, '/parcels', input)).json()) as Parcel,
    },
    cancel: {
      effect: 'write',
      timeout: '30s',
      run: async (input: { orderId: string }, call) => {
        await post(call, '/parcels/cancel', input);
      },
    },
  },
  fake: {
    ship: ({ orderId, address }) => {
      if (address === 'nowhere') throw operationError('fatal', 'no carrier delivers to nowhere');
      return { tracking: `ACME-${orderId}` };
    },
  },
});

export const pagingConnector = defineConnector({
  name: 'paging',
  config,
  operations: {
    page: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { team: string; text: string }, call) => {
        await post(call, '/pages', input);
      },
    },
  },
});

export const statusPageConnector = defineConnector({
  name: 'statusPage',
  config,
  operations: {
    publish: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { product: string; text: string }, call) => {
        await post(call, '/notices', input);
      },
    },
  },
});

export interface Issue {
  readonly key: string;
}

/** The project of the product `fax` is archived in its fake. */
export const trackerConnector = defineConnector({
  name: 'tracker',
  config,
  operations: {
    openIssue: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { project: string; reference: string; title: string }, call) =>
        (await (await post(call, '/issues', input)).json()) as Issue,
    },
  },
  fake: {
    openIssue: ({ project, reference }) => {
      if (project === 'fax') throw operationError('persistent', 'the project fax is archived');
      return { key: `${project.toUpperCase()}-${reference}` };
    },
  },
});

/** The books of 2025 are closed in its fake. */
export const ledgerConnector = defineConnector({
  name: 'ledger',
  config,
  operations: {
    post: {
      effect: 'write',
      timeout: '10s',
      run: async (
        input: { invoiceId: string; period: string; amount: number; currency: string },
        call,
      ) => {
        await post(call, '/entries', input);
      },
    },
  },
  fake: {
    post: ({ period }) => {
      if (period.startsWith('2025-')) {
        throw operationError('persistent', `the books of ${period} are closed`);
      }
    },
  },
});

/** Who may do what in Acme's systems. */
export const directoryConnector = defineConnector({
  name: 'directory',
  config,
  operations: {
    grant: {
      effect: 'write',
      timeout: '10s',
      run: async (input: { user: string; system: string; role: string }, call) => {
        await post(call, '/grants', input);
      },
    },
  },
});

export const connectors = [
  crmConnector,
  inventoryConnector,
  billingConnector,
  shippingConnector,
  pagingConnector,
  statusPageConnector,
  trackerConnector,
  ledgerConnector,
  directoryConnector,
  slackConnector,
];
