/** Schemes where the provider keeps the private key: what stands in place of our secret is public. */
import { ecdsaP256, ed25519 } from './algorithms.ts';
import { recipeVerifier } from './recipe.ts';
import { timeWindow, type WindowOptions } from './time-window.ts';
import type { Verifier } from './verifier.ts';

/**
 * Discord's interactions and webhook events. The secret is the application's public key in hex. Discord
 * states no window; it repeats webhook events for ten minutes.
 */
export const discordSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier({
    scheme: 'discord',
    signed: '{timestamp}{body}',
    algorithm: ed25519('hex'),
    signature: { headers: ['x-signature-ed25519'], encoding: 'hex' },
    timestamp: {
      from: { header: 'x-signature-timestamp' },
      unit: 'seconds',
      window: timeWindow(options, '15m'),
    },
  });

/**
 * SendGrid's event webhook. The secret is the verification key as SendGrid shows it. Retries go on for 24
 * hours and may keep their first time, hence the window; duplicates are found by `sg_event_id`.
 */
export const sendgridSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier({
    scheme: 'sendgrid',
    signed: '{timestamp}{body}',
    algorithm: ecdsaP256,
    signature: {
      headers: ['x-twilio-email-event-webhook-signature'],
      encoding: 'base64',
    },
    timestamp: {
      from: { header: 'x-twilio-email-event-webhook-timestamp' },
      unit: 'seconds',
      window: timeWindow(options, '25h'),
    },
  });
