import { verify, X509Certificate } from 'node:crypto';
import { TidegateError } from '../../model/error.ts';
import type { HandshakeAnswer, SourceDelivery } from '../source.ts';
import { decodeStrictly } from './bytes.ts';
import { isObject, jsonObject } from './json-body.ts';
import { type FetchText, fetchText, keyStore } from './key-store.ts';
import { type Refused, refused, type Verification, type Verifier } from './verifier.ts';

export interface AwsSnsOptions {
  /** The topics that may send: anybody with an AWS account can make messages with a good signature. */
  readonly topicArns: readonly string[];
  /** Takes SignatureVersion 1 too, which is SHA-1 and what a topic starts with. @default false */
  readonly allowSha1?: boolean;
  /** How a certificate is fetched. @default over HTTPS, without redirects */
  readonly fetchText?: FetchText;
}

const TOPIC_ARN = /^arn:(aws|aws-cn|aws-us-gov):sns:([a-z\d-]{3,}):\d{12}:[\w.-]{1,260}$/;

/**
 * AWS SNS: RSA over the fields of a message, with a certificate that the message names. It is only
 * fetched from `sns.<region of the topic>.amazonaws.com`, under the path that SNS uses, without a query:
 * an API of SNS can be made to answer with a certificate of one's own. Raw message delivery is not signed:
 * keep it off. The source needs `bodies: ['text']` and no secret.
 *
 * @throws TidegateError `source_invalid` for a list of topics that is empty or has something else in it.
 */
export function awsSnsSignature(options: AwsSnsOptions): Verifier {
  const { topicArns, allowSha1 = false } = options;
  if (topicArns.length === 0 || !topicArns.every((arn) => TOPIC_ARN.test(arn))) {
    throw new TidegateError('source_invalid', 'topicArns must name the ARNs of one topic or more.');
  }
  const certificates = keyStore(options.fetchText ?? fetchText);
  return {
    scheme: 'aws-sns',
    protects: 'body',
    needsUrl: false,
    needsSecret: false,
    secretProblem: () => 'is not used: SNS signs with a certificate',
    async verify({ body }, { nowMs }): Promise<Verification> {
      const message = readMessage(body, allowSha1);
      if ('cause' in message) return message;
      if (!topicArns.includes(message.topicArn)) return refused('audience_mismatch');
      if (!isCertificateUrl(message.certificateUrl, message.topicArn)) {
        return refused('certificate_refused');
      }
      const pem = await certificates.read(message.certificateUrl, nowMs);
      if (pem === undefined) return refused('keys_unavailable');
      const key = publicKeyOf(pem, nowMs);
      if (key === undefined) return refused('certificate_refused');
      return verify(message.hash, message.signed, key, message.signature)
        ? // The layout of the JSON is not signed, so the body's hash identifies nothing.
          { status: 'verified', signedId: message.id }
        : refused('signature_mismatch');
    },
  };
}

interface SnsMessage {
  readonly id: string;
  readonly topicArn: string;
  readonly certificateUrl: string;
  readonly signature: Uint8Array;
  readonly hash: 'sha1' | 'sha256';
  readonly signed: Buffer;
}

const NOTIFICATION = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'];
const CONFIRMATION = [
  'Message',
  'MessageId',
  'SubscribeURL',
  'Timestamp',
  'Token',
  'TopicArn',
  'Type',
];
const SIGNED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  Notification: NOTIFICATION,
  SubscriptionConfirmation: CONFIRMATION,
  UnsubscribeConfirmation: CONFIRMATION,
};

function readMessage(body: Uint8Array, allowSha1: boolean): SnsMessage | Refused {
  const message = jsonObject(body);
  if (message === undefined) return refused('body_malformed');
  const { Signature, SigningCertURL, SignatureVersion, TopicArn, MessageId, Type } = message;
  if (Signature === undefined) return refused('header_missing');
  const type = String(Type);
  const names = Object.hasOwn(SIGNED_FIELDS, type) ? SIGNED_FIELDS[type] : undefined;
  const signature = typeof Signature === 'string' ? decodeStrictly(Signature, 'base64') : undefined;
  if (names === undefined || signature === undefined) return refused('body_malformed');
  if (![SigningCertURL, TopicArn, MessageId].every((each) => typeof each === 'string')) {
    return refused('body_malformed');
  }
  if (SignatureVersion !== '2' && !(SignatureVersion === '1' && allowSha1)) {
    return refused('signature_unknown');
  }
  const present = names.filter((name) => message[name] !== undefined && message[name] !== null);
  if (!present.every((name) => typeof message[name] === 'string')) return refused('body_malformed');
  return {
    id: String(MessageId),
    topicArn: String(TopicArn),
    certificateUrl: String(SigningCertURL),
    signature,
    hash: SignatureVersion === '2' ? 'sha256' : 'sha1',
    signed: Buffer.from(present.map((name) => `${name}\n${String(message[name])}\n`).join('')),
  };
}

/** The host of SNS in the region of a topic. */
function hostOf(topicArn: string): string | undefined {
  const match = TOPIC_ARN.exec(topicArn);
  return match === null
    ? undefined
    : `sns.${match[2]}.amazonaws.com${match[1] === 'aws-cn' ? '.cn' : ''}`;
}

function isCertificateUrl(url: string, topicArn: string): boolean {
  const prefix = `https://${hostOf(topicArn)}/SimpleNotificationService-`;
  return url.startsWith(prefix) && /^[\da-f]{32}\.pem$/.test(url.slice(prefix.length));
}

function publicKeyOf(pem: string, nowMs: number): X509Certificate['publicKey'] | undefined {
  try {
    const { publicKey, validFrom, validTo } = new X509Certificate(pem);
    const isValid = Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo);
    return isValid && publicKey.asymmetricKeyType === 'rsa' ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Confirms a subscription of a topic that {@link awsSnsSignature} lets through, by the address that the
 * verified message names. The end of a subscription is only acknowledged: its address would renew it.
 */
export const awsSnsHandshake =
  (options: { readonly fetchText?: FetchText } = {}) =>
  async ({ payload }: SourceDelivery): Promise<HandshakeAnswer | undefined> => {
    if (!isObject(payload)) return undefined;
    const { Type, SubscribeURL, TopicArn } = payload;
    if (Type === 'UnsubscribeConfirmation') return { status: 200 };
    if (Type !== 'SubscriptionConfirmation') return undefined;
    const prefix = `https://${hostOf(String(TopicArn))}/?Action=ConfirmSubscription&`;
    if (typeof SubscribeURL !== 'string' || !SubscribeURL.startsWith(prefix)) {
      throw new TidegateError('signature_invalid', 'The address to confirm at is not one of SNS.', {
        details: { cause: 'body_malformed' },
      });
    }
    try {
      await (options.fetchText ?? fetchText)(SubscribeURL);
    } catch (cause) {
      throw new TidegateError(
        'keys_unavailable',
        'SNS cannot be reached to confirm the subscription: it asks again.',
        { cause },
      );
    }
    return { status: 200 };
  };
