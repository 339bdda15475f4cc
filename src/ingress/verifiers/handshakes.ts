/**
 * What providers want to hear before they send events. Handshakes get verified deliveries (`handshake` of
 * a source); setups answer what is unsigned by design (`setup`) and repeat a challenge at most.
 */
import { createHmac } from 'node:crypto';
import { LIMITS } from '../../model/limits.ts';
import type { HandshakeAnswer, SetupRequest, SourceDelivery } from '../source.ts';
import { isObject } from './json-body.ts';

/** Slack's `url_verification`, which is signed. An event that has a member `challenge` is an event. */
export function slackHandshake({ payload }: SourceDelivery): HandshakeAnswer | undefined {
  if (!isObject(payload) || payload.type !== 'url_verification') return undefined;
  const { challenge } = payload;
  return isChallenge(challenge) ? { status: 200, json: { challenge } } : undefined;
}

/** The PING of Discord's interactions. */
export const discordInteractionHandshake = ({
  payload,
}: SourceDelivery): HandshakeAnswer | undefined =>
  isObject(payload) && payload.type === 1 ? { status: 200, json: { type: 1 } } : undefined;

/** The PING of Discord's webhook events, where type 1 is an event. */
export const discordEventHandshake = ({ payload }: SourceDelivery): HandshakeAnswer | undefined =>
  isObject(payload) && payload.type === 0 ? { status: 204 } : undefined;

/**
 * Zoom's `endpoint.url_validation`. The key that answers it signs events too: a token that could be
 * `v0:<time>:<body>` would have us sign an event for whoever sent it.
 */
export function zoomHandshake(
  { payload }: SourceDelivery,
  secret: string,
): HandshakeAnswer | undefined {
  if (!isObject(payload) || payload.event !== 'endpoint.url_validation') return undefined;
  const plainToken = isObject(payload.payload) ? payload.payload.plainToken : undefined;
  if (typeof plainToken !== 'string' || !/^[\w-]{1,64}$/.test(plainToken)) return undefined;
  const encryptedToken = createHmac('sha256', secret).update(plainToken).digest('hex');
  return { status: 200, json: { plainToken, encryptedToken } };
}

/** Dropbox: `GET ?challenge=` wants the challenge. */
export const dropboxSetup = ({ method, query }: SetupRequest): HandshakeAnswer | undefined =>
  method === 'GET' ? repeated(query.get('challenge')) : undefined;

/** Microsoft Graph: `POST ?validationToken=` wants the token. */
export const microsoftGraphSetup = ({
  method,
  query,
}: SetupRequest): HandshakeAnswer | undefined =>
  method === 'POST' ? repeated(query.get('validationToken')) : undefined;

/** Okta's event hooks: GET with `X-Okta-Verification-Challenge` wants its value in JSON. */
export function oktaSetup({ method, headers }: SetupRequest): HandshakeAnswer | undefined {
  const verification = headers['x-okta-verification-challenge'];
  return method === 'GET' && isChallenge(verification)
    ? { status: 200, json: { verification } }
    : undefined;
}

/** WooCommerce: `webhook_id=<n>` as a form when a webhook is made wants 200 and nothing done. */
export const woocommerceSetup = ({ method, body }: SetupRequest): HandshakeAnswer | undefined =>
  method === 'POST' &&
  body.length <= 40 &&
  /^webhook_id=\d{1,20}$/.test(Buffer.from(body).toString('latin1'))
    ? { status: 200 }
    : undefined;

const repeated = (text: string | null): HandshakeAnswer | undefined =>
  isChallenge(text) ? { status: 200, text } : undefined;

/** Plain text that no browser can take for markup, short enough not to be worth reflecting. */
const isChallenge = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= LIMITS.challengeCharactersMax &&
  /^[ -;=?-~]+$/.test(value);
