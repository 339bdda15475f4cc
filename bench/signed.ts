/** The signed webhooks of bench/ingress.ts, as both sides take them. */
import { createHmac } from 'node:crypto';

export const SIGNATURE_HEADER = 'x-bench-signature';
export const WEBHOOK_PATH = '/hooks/bench';
export const WEBHOOK_SECRET = 'secret-of-the-benchmark';

export const signatureOf = (body: string | Uint8Array): string =>
  createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex');
