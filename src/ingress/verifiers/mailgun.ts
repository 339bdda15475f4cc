import { hmac } from './algorithms.ts';
import { decodeStrictly, indexOfMatch } from './bytes.ts';
import { isObject, jsonObject } from './json-body.ts';
import { refuseBlankSecrets } from './recipe.ts';
import { parseTime, timeRefusal, timeWindow, type WindowOptions } from './time-window.ts';
import { refused, type Verification, type Verifier } from './verifier.ts';

const algorithm = hmac('sha256', 'text');

/**
 * Mailgun, with the HTTP webhook signing key. It signs a time and a token that stand in the body, and not
 * the event beside them, hence `bodyUnprotected`. The token is the identity of the delivery, so that it
 * counts once; read important facts again from Mailgun.
 *
 * @param options `window` is 9h by default: retries go on for eight hours.
 */
export function mailgunSignature(options: WindowOptions = {}): Verifier {
  const window = timeWindow(options, '9h');
  return {
    scheme: 'mailgun',
    protects: 'nothing',
    needsUrl: false,
    needsSecret: true,
    secretProblem: algorithm.secretProblem,
    verify({ body }, { secrets, nowMs }): Verification {
      refuseBlankSecrets(secrets);
      const payload = jsonObject(body);
      if (payload === undefined) return refused('body_malformed');
      if (!isObject(payload.signature)) return refused('header_missing');
      const { timestamp, token, signature } = payload.signature;
      const time = String(timestamp);
      const atMs = parseTime(time, 'seconds');
      if (atMs === undefined) return refused('timestamp_malformed');
      const given = typeof signature === 'string' ? decodeStrictly(signature, 'hex') : undefined;
      if (typeof token !== 'string' || !/^[\dA-Za-z]{16,128}$/.test(token) || given === undefined) {
        return refused('body_malformed');
      }
      const objection = timeRefusal(atMs, window, nowMs);
      if (objection !== undefined) return objection;
      const signed = [Buffer.from(time), Buffer.from(token)];
      const secretIndex = indexOfMatch(secrets, (secret) =>
        algorithm.matches(secret, signed, [given]),
      );
      return secretIndex === -1
        ? refused('signature_mismatch')
        : { status: 'verified', secretIndex, signedId: token };
    },
  };
}
