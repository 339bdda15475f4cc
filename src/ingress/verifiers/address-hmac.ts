/** Schemes that sign the address with the body. It is TIDEGATE_PUBLIC_URL with the request's path and query. */
import { hmac } from './algorithms.ts';
import { recipeVerifier } from './recipe.ts';
import { timeWindow, type WindowOptions } from './time-window.ts';
import type { Verifier } from './verifier.ts';

/** What HubSpot decodes of an address before it signs it, and nothing else. */
const HUBSPOT_DECODED = /%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/gi;

/** HubSpot v3, with the app's client secret. The older v1 and v2, plain hashes without a time, are refused. */
export const hubspotSignature = (options: WindowOptions = {}): Verifier =>
  recipeVerifier({
    scheme: 'hubspot',
    signed: '{method}{url}{body}{timestamp}',
    algorithm: hmac('sha256', 'text'),
    signature: { headers: ['x-hubspot-signature-v3'], encoding: 'base64' },
    timestamp: {
      from: { header: 'x-hubspot-request-timestamp' },
      unit: 'milliseconds',
      window: timeWindow(options, '5m'),
    },
    urls: (url) => [url.replace(HUBSPOT_DECODED, decodeURIComponent)],
  });

/** Square. The address must be byte by byte the notification URL of its dashboard. */
export const squareSignature = (): Verifier =>
  recipeVerifier({
    scheme: 'square',
    signed: '{url}{body}',
    algorithm: hmac('sha256', 'text'),
    signature: { headers: ['x-square-hmacsha256-signature'], encoding: 'base64' },
  });
