import { hmac } from './algorithms.ts';
import { decodeStrictly, indexOfMatch, sha256 } from './bytes.ts';
import { isObject, jsonObject } from './json-body.ts';
import { refuseBlankSecrets } from './recipe.ts';
import { type Refused, refused, type Verification, type Verifier } from './verifier.ts';

const algorithm = hmac('sha256', 'hex');

/**
 * Adyen's standard webhooks: each item carries the HMAC of eight of its fields. The other fields
 * (`reason`, `eventDate`, `additionalData`) are not signed, hence `bodyUnprotected`. Adyen escapes
 * nothing between the fields: trust no reference with a `:` across merchant accounts.
 */
export const adyenSignature = (): Verifier => ({
  scheme: 'adyen',
  protects: 'nothing',
  needsUrl: false,
  needsSecret: true,
  secretProblem: algorithm.secretProblem,
  verify({ body }, { secrets }): Verification {
    refuseBlankSecrets(secrets);
    const items = readItems(jsonObject(body)?.notificationItems);
    if (!Array.isArray(items)) return items;
    const secretIndex = indexOfMatch(secrets, (secret) =>
      items.every(({ signed, signature }) =>
        algorithm.matches(secret, [Buffer.from(signed)], [signature]),
      ),
    );
    if (secretIndex === -1) return refused('signature_mismatch');
    // What is not signed can be changed, so the body's hash identifies nothing.
    const signedId = sha256(JSON.stringify(items.map(({ signed }) => signed))).toString('hex');
    return { status: 'verified', secretIndex, signedId };
  },
});

interface SignedItem {
  readonly signed: string;
  readonly signature: Uint8Array;
}

function readItems(items: unknown): SignedItem[] | Refused {
  if (!Array.isArray(items) || items.length === 0) return refused('body_malformed');
  const read: SignedItem[] = [];
  for (const each of items) {
    const item = isObject(each) ? each.NotificationRequestItem : undefined;
    if (!isObject(item)) return refused('body_malformed');
    const text = isObject(item.additionalData) ? item.additionalData.hmacSignature : undefined;
    if (text === undefined) return refused('header_missing');
    const signature = typeof text === 'string' ? decodeStrictly(text, 'base64') : undefined;
    const signed = signedText(item);
    if (signature === undefined || signed === undefined) return refused('body_malformed');
    read.push({ signed, signature });
  }
  return read;
}

function signedText(item: Readonly<Record<string, unknown>>): string | undefined {
  const amount = isObject(item.amount) ? item.amount : {};
  const fields = [
    item.pspReference,
    item.originalReference,
    item.merchantAccountCode,
    item.merchantReference,
    amount.value,
    amount.currency,
    item.eventCode,
    item.success,
  ].map((field) => field ?? '');
  return fields.every((field) => ['string', 'number', 'boolean'].includes(typeof field))
    ? fields.map(String).join(':')
    : undefined;
}
