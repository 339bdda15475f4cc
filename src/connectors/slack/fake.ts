import { createHash } from 'node:crypto';
import type { BoundCall } from '../../model/connector.ts';
import { checkMessage, type SlackMessage, type SlackReceipt } from './message.ts';

/** Slack's answers; a message's timestamp follows from its idempotency key, as the same message has the same. */
export const fakeSlack = {
  postMessage: (message: SlackMessage, { idempotencyKey }: BoundCall): SlackReceipt => {
    checkMessage(message);
    const digits = BigInt(`0x${sha256(idempotencyKey).slice(0, 24)}`)
      .toString()
      .padStart(16, '0');
    return {
      ts: `1${digits.slice(0, 9)}.${digits.slice(9, 15)}`,
      channel: /^[CDG][A-Z0-9]{8,}$/.test(message.channel)
        ? message.channel
        : `C${sha256(message.channel).slice(0, 10).toUpperCase()}`,
    };
  },
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
