import { type HmacKey, hmac } from './algorithms.ts';
import type { Encoding } from './bytes.ts';
import { recipeVerifier } from './recipe.ts';
import { type TimeUnit, timeWindow, type WindowOptions } from './time-window.ts';
import type { Verifier } from './verifier.ts';

export interface HmacSignatureOptions extends WindowOptions {
  /** The header with the signature, in any case. */
  readonly header: string;
  /** What stands before the signature in the header, such as `sha256=`. @default '' */
  readonly prefix?: string;
  /** What separates several signatures in the header, any of which may match. @default one signature only */
  readonly separator?: ',' | ';' | ' ';
  readonly encoding: Encoding;
  /** @default 'sha256' */
  readonly hash?: 'sha256' | 'sha1';
  /** What the key is: the secret's text, or the bytes that it stands for in base64 or hex. @default 'text' */
  readonly key?: Exclude<HmacKey, 'whsec'>;
  /**
   * What is signed: text with the parts `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}` in their
   * order, such as `v0:{timestamp}:{body}`. @default '{body}'
   */
  readonly signed?: string;
  /** The header with the time, when it is signed. Older or newer than `window` (default 5m) is refused. */
  readonly timestamp?: { readonly header: string; readonly unit: TimeUnit };
  /** The header with the delivery's id, when it is signed: it becomes `signedId`. */
  readonly id?: string;
}

/**
 * HMAC of the raw body, and of what else a provider signs with it. Secrets rotate by trying several.
 *
 * @throws TidegateError `source_invalid` when `signed` names a part that there is not, `duration_invalid`.
 * @example
 * ```ts
 * hmacSignature({
 *   header: 'x-acme-signature',
 *   prefix: 'v1=',
 *   encoding: 'hex',
 *   signed: '{timestamp}.{body}',
 *   timestamp: { header: 'x-acme-timestamp', unit: 'seconds' },
 * });
 * ```
 */
export function hmacSignature(options: HmacSignatureOptions): Verifier {
  const { prefix, separator, encoding, hash = 'sha256', key = 'text', signed = '{body}' } = options;
  const { timestamp, id } = options;
  return recipeVerifier({
    scheme: 'hmac',
    signed,
    algorithm: hmac(hash, key),
    signature: {
      headers: [options.header.toLowerCase()],
      encoding,
      ...(prefix === undefined ? {} : { label: prefix }),
      ...(separator === undefined ? {} : { separator }),
    },
    ...(id === undefined ? {} : { id: id.toLowerCase() }),
    ...(timestamp === undefined
      ? {}
      : {
          timestamp: {
            from: { header: timestamp.header.toLowerCase() },
            unit: timestamp.unit,
            window: timeWindow(options, '5m'),
          },
        }),
  });
}
