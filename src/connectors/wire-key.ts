import { createHash } from 'node:crypto';

/**
 * An idempotency key as it goes out: itself where a header can carry it, else its hash. Keys have a
 * flow's key in them, in any script and of any length; header values are ASCII, are trimmed, and
 * vendors refuse more than 255 characters.
 */
export const wireKey = (idempotencyKey: string): string =>
  /^[!-~]{1,255}$/.test(idempotencyKey)
    ? idempotencyKey
    : `sha256:${createHash('sha256').update(idempotencyKey).digest('hex')}`;
