import { ed25519, hmac } from './algorithms.ts';
import { recipeVerifier, type SignatureRecipe } from './recipe.ts';
import { timeWindow, type WindowOptions } from './time-window.ts';
import type { Verifier } from './verifier.ts';

/**
 * Standard Webhooks with the label `v1`: HMAC-SHA256 over id, time and body, so that `webhook-id` is a
 * signed identity. The secret is `whsec_` and base64.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const standardWebhooksSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier(symmetric('standard-webhooks', 'webhook', options));

/**
 * Standard Webhooks with the label `v1a`: Ed25519 over the same bytes. The secret is the sender's public
 * key, `whpk_` and base64; a `v1` signature is never taken in its place.
 */
export const standardWebhooksPublicKeySignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier({
    ...symmetric('standard-webhooks-v1a', 'webhook', options),
    algorithm: ed25519('whpk'),
    signature: {
      headers: ['webhook-signature'],
      label: 'v1a,',
      separator: ' ',
      encoding: 'base64',
    },
  });

/** Svix (Clerk, Resend and others): Standard Webhooks under `svix-` headers; `webhook-` ones where there are none. */
export const svixSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier(symmetric('svix', 'svix', options), symmetric('svix', 'webhook', options));

/** GitLab's signing token, which is Standard Webhooks. The older secret token is never taken in its place. */
export const gitlabSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier(symmetric('gitlab', 'webhook', options));

const symmetric = (
  scheme: string,
  prefix: 'webhook' | 'svix',
  options: WindowOptions,
): SignatureRecipe => ({
  scheme,
  signed: '{id}.{timestamp}.{body}',
  algorithm: hmac('sha256', 'whsec'),
  signature: {
    headers: [`${prefix}-signature`],
    label: 'v1,',
    separator: ' ',
    encoding: 'base64',
  },
  id: `${prefix}-id`,
  timestamp: {
    from: { header: `${prefix}-timestamp` },
    unit: 'seconds',
    window: timeWindow(options, '5m'),
  },
});
