/** Schemes that sign a time with the body, so that a captured request is good for a while only. */
import { hmac } from './algorithms.ts';
import { recipeVerifier, type SignatureRecipe } from './recipe.ts';
import { timeWindow, type WindowOptions } from './time-window.ts';
import type { Verifier } from './verifier.ts';

const timed = (recipe: Omit<SignatureRecipe, 'algorithm'>): Verifier =>
  recipeVerifier({ algorithm: hmac('sha256', 'text'), ...recipe });

/** Stripe. The key is the whole `whsec_…` text; the test scheme `v0` is passed over. */
export const stripeSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'stripe',
    signed: '{timestamp}.{body}',
    signature: { headers: ['stripe-signature'], label: 'v1=', separator: ',', encoding: 'hex' },
    timestamp: { from: { label: 't=' }, unit: 'seconds', window: timeWindow(options, '5m') },
  });

/** Slack, with the app's signing secret: events, commands and interactions. */
export const slackSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'slack',
    signed: 'v0:{timestamp}:{body}',
    signature: { headers: ['x-slack-signature'], label: 'v0=', encoding: 'hex' },
    timestamp: {
      from: { header: 'x-slack-request-timestamp' },
      unit: 'seconds',
      window: timeWindow(options, '5m'),
    },
  });

/** Zoom, with the app's secret token. Zoom states no window. */
export const zoomSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'zoom',
    signed: 'v0:{timestamp}:{body}',
    signature: { headers: ['x-zm-signature'], label: 'v0=', encoding: 'hex' },
    timestamp: {
      from: { header: 'x-zm-request-timestamp' },
      unit: 'seconds',
      window: timeWindow(options, '5m'),
    },
  });

/** Paddle Billing. The key is the whole `pdl_ntfset_…` text. Paddle's 5 s need a better clock than most have. */
export const paddleSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'paddle',
    signed: '{timestamp}:{body}',
    signature: { headers: ['paddle-signature'], label: 'h1=', separator: ';', encoding: 'hex' },
    timestamp: { from: { label: 'ts=' }, unit: 'seconds', window: timeWindow(options, '1m') },
  });

/** What Zendesk signs test deliveries with before a webhook is saved. Everybody knows it. */
const ZENDESK_TEST_SECRET = 'dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==';

/**
 * Zendesk. The secret looks like base64 and is used as text. Zendesk states no window, nor whether a
 * retry is signed anew, hence the hour.
 */
export function zendeskSignature(options: WindowOptions = {}): Verifier {
  const verifier = timed({
    scheme: 'zendesk',
    signed: '{timestamp}{body}',
    signature: { headers: ['x-zendesk-webhook-signature'], encoding: 'base64' },
    timestamp: {
      from: { header: 'x-zendesk-webhook-signature-timestamp' },
      unit: 'rfc3339',
      window: timeWindow(options, '1h'),
    },
  });
  return {
    ...verifier,
    secretProblem: (secret) =>
      secret === ZENDESK_TEST_SECRET
        ? 'must not be the secret that Zendesk publishes for tests'
        : verifier.secretProblem(secret),
  };
}

/** Box: one signature by the primary and one by the secondary key; the body comes before the time. */
export const boxSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'box',
    signed: '{body}{timestamp}',
    signature: {
      headers: ['box-signature-primary', 'box-signature-secondary'],
      encoding: 'base64',
    },
    timestamp: {
      from: { header: 'box-delivery-timestamp' },
      unit: 'rfc3339',
      window: timeWindow(options, '10m'),
    },
  });

/** Webflow: the time is in milliseconds. */
export const webflowSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'webflow',
    signed: '{timestamp}:{body}',
    signature: { headers: ['x-webflow-signature'], encoding: 'hex' },
    timestamp: {
      from: { header: 'x-webflow-timestamp' },
      unit: 'milliseconds',
      window: timeWindow(options, '5m'),
    },
  });

/** ElevenLabs, whose own client allows 30 minutes. */
export const elevenlabsSignature = (options: WindowOptions = {}): Verifier =>
  timed({
    scheme: 'elevenlabs',
    signed: '{timestamp}.{body}',
    signature: {
      headers: ['elevenlabs-signature'],
      label: 'v0=',
      separator: ',',
      encoding: 'hex',
    },
    timestamp: { from: { label: 't=' }, unit: 'seconds', window: timeWindow(options, '30m') },
  });
