/** Schemes that sign the raw body and nothing else: no time, so a captured request stays good. */
import { hmac } from './algorithms.ts';
import { jsonObject } from './json-body.ts';
import { recipeVerifier, type SignatureForm } from './recipe.ts';
import { timeRefusal, timeWindow, type WindowOptions } from './time-window.ts';
import { refused, type Verifier } from './verifier.ts';

function bodySignature(
  scheme: string,
  signature: SignatureForm,
  algorithm: Parameters<typeof hmac> = ['sha256', 'text'],
): Verifier {
  return recipeVerifier({
    scheme,
    signed: '{body}',
    algorithm: hmac(...algorithm),
    signature,
  });
}

/** GitHub. The SHA-1 signature that comes beside it is not looked at; `X-GitHub-Delivery` is not signed. */
export const githubSignature = (): Verifier =>
  bodySignature('github', {
    headers: ['x-hub-signature-256'],
    label: 'sha256=',
    encoding: 'hex',
  });

/** Shopify, with the app's client secret. Topic, shop and webhook id are headers and not signed. */
export const shopifySignature = (): Verifier =>
  bodySignature('shopify', {
    headers: ['x-shopify-hmac-sha256', 'shopify-hmac-sha256'],
    encoding: 'base64',
  });

/** Jira's webhooks of administrators and of `/rest/webhooks/1.0`, with a secret. Methods but sha256 are refused. */
export const jiraSignature = (): Verifier =>
  bodySignature('jira', { headers: ['x-hub-signature'], label: 'sha256=', encoding: 'hex' });

/** PagerDuty v3: one `v1=` per active secret. */
export const pagerdutySignature = (): Verifier =>
  bodySignature('pagerduty', {
    headers: ['x-pagerduty-signature'],
    label: 'v1=',
    separator: ',',
    encoding: 'hex',
  });

/** Intercom, with the app's client secret: HMAC-SHA1. */
export const intercomSignature = (): Verifier =>
  bodySignature('intercom', { headers: ['x-hub-signature'], label: 'sha1=', encoding: 'hex' }, [
    'sha1',
    'text',
  ]);

/** Typeform: base64 after a prefix that elsewhere means hex. */
export const typeformSignature = (): Verifier =>
  bodySignature('typeform', {
    headers: ['typeform-signature'],
    label: 'sha256=',
    encoding: 'base64',
  });

/** WooCommerce. Its delivery id is neither signed nor unique. */
export const woocommerceSignature = (): Verifier =>
  bodySignature('woocommerce', { headers: ['x-wc-webhook-signature'], encoding: 'base64' });

/** Vercel, with the webhook's secret or the integration's client secret: HMAC-SHA1. */
export const vercelSignature = (): Verifier =>
  bodySignature('vercel', { headers: ['x-vercel-signature'], encoding: 'hex' }, ['sha1', 'text']);

/** Notion, with the verification token. */
export const notionSignature = (): Verifier =>
  bodySignature('notion', {
    headers: ['x-notion-signature'],
    label: 'sha256=',
    encoding: 'hex',
  });

/** Outgoing webhooks of Microsoft Teams. The security token is base64 of the key. */
export const teamsSignature = (): Verifier =>
  bodySignature('teams', { headers: ['authorization'], label: 'HMAC ', encoding: 'base64' }, [
    'sha256',
    'base64',
  ]);

/** Xero. Its "intent to receive" wants 200 for a right and 401 for a wrong signature, which is what it gets. */
export const xeroSignature = (): Verifier =>
  bodySignature('xero', { headers: ['x-xero-signature'], encoding: 'base64' });

const DOCUSIGN_KEYS_MAX = 100;

/** DocuSign Connect: one numbered header for each of its active keys. */
export const docusignSignature = (): Verifier =>
  bodySignature('docusign', {
    headers: Array.from(
      { length: DOCUSIGN_KEYS_MAX },
      (_, index) => `x-docusign-signature-${index + 1}`,
    ),
    encoding: 'base64',
  });

/** Dropbox, with the app secret. */
export const dropboxSignature = (): Verifier =>
  bodySignature('dropbox', { headers: ['x-dropbox-signature'], encoding: 'hex' });

/** Adyen's banking, balance platform and management webhooks, with the key in hex. */
export const adyenManagementSignature = (): Verifier =>
  bodySignature('adyen-management', { headers: ['hmacsignature'], encoding: 'base64' }, [
    'sha256',
    'hex',
  ]);

/**
 * Linear: the time is `webhookTimestamp` in the signed body, in milliseconds.
 *
 * @param options `window` is 1m by default, as Linear advises.
 */
export function linearSignature(options: WindowOptions = {}): Verifier {
  const window = timeWindow(options, '1m');
  return recipeVerifier({
    scheme: 'linear',
    signed: '{body}',
    algorithm: hmac('sha256', 'text'),
    signature: { headers: ['linear-signature'], encoding: 'hex' },
    inspect(body, nowMs) {
      const payload = jsonObject(body);
      if (payload === undefined) return refused('body_malformed');
      const sentAt = payload.webhookTimestamp;
      if (typeof sentAt !== 'number') return refused('timestamp_malformed');
      return timeRefusal(sentAt, window, nowMs);
    },
  });
}
