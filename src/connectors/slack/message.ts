import type { Json } from '../../model/event.ts';
import { operationError } from '../operation-error.ts';

export interface SlackMessage {
  /** A channel's id, or its name with `#`. */
  readonly channel: string;
  /** At most 40,000 characters; what notifications show when there are blocks. */
  readonly text: string;
  /** Block Kit blocks, at most 50: https://docs.slack.dev/reference/block-kit/blocks */
  readonly blocks?: readonly { readonly type: string; readonly [field: string]: Json }[];
}
export interface SlackReceipt {
  /** The message's timestamp, which is its id within the channel. */
  readonly ts: string;
  /** The id of the channel. */
  readonly channel: string;
}

/** Beyond, Slack cuts the text: https://docs.slack.dev/reference/methods/chat.postMessage#truncating */
const TEXT_CHARACTERS_MAX = 40_000;
const BLOCKS_MAX = 50;

/** Refuses a message that Slack would refuse or cut, in the class that Slack's answer has. */
export function checkMessage({ channel, text, blocks = [] }: SlackMessage): void {
  if (typeof channel !== 'string' || channel.trim() === '') {
    throw operationError(
      'fatal',
      'the message has no channel (invalid_arguments); nothing was sent',
    );
  }
  if ((typeof text !== 'string' || text === '') && blocks.length === 0) {
    throw operationError('fatal', 'the message has no text (no_text); nothing was sent');
  }
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw operationError(
      'fatal',
      `the message has ${text.length} characters, Slack takes ${TEXT_CHARACTERS_MAX} (msg_too_long); nothing was sent`,
    );
  }
  if (blocks.length > BLOCKS_MAX) {
    throw operationError(
      'fatal',
      `the message has ${blocks.length} blocks, Slack takes ${BLOCKS_MAX} (invalid_blocks); nothing was sent`,
    );
  }
}
