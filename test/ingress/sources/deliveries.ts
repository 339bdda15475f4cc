/** The vendors' deliveries of fixtures/, signed as the vendors sign them, and an ingress that takes them. */
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineEvents } from 'tidegate/contracts';
import {
  bindSources,
  githubEvents,
  hubspotEvents,
  hubspotSource,
  jiraEvents,
  jiraSource,
  type Source,
  shopifyEvents,
  shopifySource,
  slackEvents,
  slackSource,
  stripeEvents,
  stripeSource,
  zendeskEvents,
  zendeskSource,
} from 'tidegate/ingress';
import type { IngressOptions } from '../../../src/ingress/app.ts';
import type { EventRow } from '../../../src/journal/rows.ts';
import { flowRegistry } from '../../../src/model/flow-registry.ts';
import { type Answer, post, startTestIngress, type TestIngress } from '../support.ts';

export const VENDORS = ['stripe', 'slack', 'shopify', 'zendesk', 'hubspot', 'jira'] as const;
export type Vendor = (typeof VENDORS)[number];

export const SOURCES: Readonly<Record<Vendor, Source>> = {
  stripe: stripeSource(),
  slack: slackSource(),
  shopify: shopifySource(),
  zendesk: zendeskSource(),
  hubspot: hubspotSource(),
  jira: jiraSource(),
};

export const EVENTS = {
  stripe: stripeEvents,
  slack: slackEvents,
  shopify: shopifyEvents,
  zendesk: zendeskEvents,
  hubspot: hubspotEvents,
  jira: jiraEvents,
} as const;

export const catalogue = defineEvents({
  ...githubEvents,
  ...stripeEvents,
  ...slackEvents,
  ...shopifyEvents,
  ...zendeskEvents,
  ...hubspotEvents,
  ...jiraEvents,
});

export interface VendorDelivery {
  readonly vendor: Vendor;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };
const folder = fileURLToPath(new URL('fixtures/', import.meta.url));

/** What a golden file has for one fixture. */
export type Golden = Readonly<Record<string, unknown>>;
export const goldenOf = (vendor: Vendor): Golden =>
  JSON.parse(readFileSync(`${folder}${vendor}.expected.json`, 'utf8')) as Golden;

export const fixtureNames = (vendor: Vendor): readonly string[] =>
  readdirSync(`${folder}${vendor}`)
    .map((file) => file.replace(/\.json$/, ''))
    .sort();

export const fixtureText = (vendor: Vendor, name: string): string =>
  readFileSync(`${folder}${vendor}/${name}.json`, 'utf8');

export const fixture = (vendor: Vendor, name: string): VendorDelivery =>
  deliver(vendor, name, fixtureText(vendor, name));

/** A delivery of JSON as a vendor sends it under the name of a fixture: as it is or in a form, with its headers. */
export function deliver(vendor: Vendor, name: string, json: string): VendorDelivery {
  if (name.startsWith('form.')) {
    const body = new URLSearchParams({ payload: json }).toString();
    return { vendor, body, headers: FORM_TYPE };
  }
  if (name.startsWith('command.')) {
    const fields = JSON.parse(json) as Readonly<Record<string, string>>;
    return { vendor, body: new URLSearchParams(fields).toString(), headers: FORM_TYPE };
  }
  return { vendor, body: json, headers: { ...JSON_TYPE, ...headersOf(vendor, name) } };
}

function headersOf(vendor: Vendor, name: string): Readonly<Record<string, string>> {
  switch (vendor) {
    case 'shopify':
      return {
        'x-shopify-topic': name.replace('unmapped.', '').replace('-', '/'),
        'x-shopify-shop-domain': 'acme.myshopify.com',
        'x-shopify-webhook-id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
        'x-shopify-event-id': '98880550-7158-44d4-b7cd-2c97c8a091b5',
      };
    case 'zendesk':
      return { 'x-zendesk-webhook-invocation-id': '01GK8E6BKWMJZD2T8Y5AXJQMG5' };
    case 'jira':
      return { 'x-atlassian-webhook-identifier': 'c3b8a4f0-0000-4000-8000-000000000001' };
    default:
      return {};
  }
}

const PUBLIC_URL = 'https://hooks.acme.example';
const NOW = Date.UTC(2026, 10, 21, 12);

export const secretOf = (vendor: string): string => `secret-of-${vendor}`;

/** As the vendor's documentation says it, without our verifiers. */
export function signature(
  { vendor, body }: Pick<VendorDelivery, 'vendor' | 'body'>,
  nowMs: number = NOW,
): Readonly<Record<string, string>> {
  const hmac = (text: string, encoding: 'hex' | 'base64') =>
    createHmac('sha256', secretOf(vendor)).update(text).digest(encoding);
  const seconds = String(Math.floor(nowMs / 1_000));
  switch (vendor) {
    case 'stripe':
      return { 'stripe-signature': `t=${seconds},v1=${hmac(`${seconds}.${body}`, 'hex')}` };
    case 'slack':
      return {
        'x-slack-request-timestamp': seconds,
        'x-slack-signature': `v0=${hmac(`v0:${seconds}:${body}`, 'hex')}`,
      };
    case 'shopify':
      return { 'x-shopify-hmac-sha256': hmac(body, 'base64') };
    case 'zendesk': {
      const time = new Date(nowMs).toISOString();
      return {
        'x-zendesk-webhook-signature-timestamp': time,
        'x-zendesk-webhook-signature': hmac(time + body, 'base64'),
      };
    }
    case 'hubspot':
      return {
        'x-hubspot-request-timestamp': String(nowMs),
        'x-hubspot-signature-v3': hmac(`POST${PUBLIC_URL}/hooks/hubspot${body}${nowMs}`, 'base64'),
      };
    case 'jira':
      return { 'x-hub-signature': `sha256=${hmac(body, 'hex')}` };
    default:
      return vendor satisfies never;
  }
}

export const secretsOf = (names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.map((name) => [
      `TIDEGATE_SOURCE_${name.toUpperCase().replaceAll('-', '_')}_SECRET`,
      secretOf(name),
    ]),
  );

export const startVendorIngress = (
  options: Omit<Partial<IngressOptions>, 'journal'> = {},
): Promise<TestIngress> =>
  startTestIngress({
    catalogue,
    flows: flowRegistry({}),
    sources: bindSources(Object.values(SOURCES), secretsOf(VENDORS)),
    publicUrl: PUBLIC_URL,
    now: () => new Date(NOW),
    ...options,
  });

/** Sends a delivery, signed. */
export const send = (
  { url }: TestIngress,
  { vendor, body, headers }: VendorDelivery,
): Promise<Answer> =>
  post(`${url}/hooks/${vendor}`, body, { ...headers, ...signature({ vendor, body }) });

/** Every event of the journal, oldest first, and how often it came again. */
export async function journalled({ journal }: TestIngress): Promise<readonly EventRow[]> {
  const rows: EventRow[] = [];
  let after: string | undefined;
  do {
    const page = await journal.listEvents({}, { limit: 500, ...(after && { after }) });
    rows.push(...page.rows);
    after = page.next;
  } while (after !== undefined);
  return rows.reverse();
}
