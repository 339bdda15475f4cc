import { createHash } from 'node:crypto';
import {
  type ChatPostMessageArguments,
  type FetchFunction,
  LogLevel,
  WebClient,
} from '@slack/web-api';
import { z } from 'zod';
import type { OperationContext } from '../../model/connector.ts';
import { defineConnector } from '../define-connector.ts';
import { sendRequest } from '../http-request.ts';
import { operationError } from '../operation-error.ts';
import { classifySlack } from './classify.ts';
import { fakeSlack } from './fake.ts';
import { checkMessage, type SlackMessage, type SlackReceipt } from './message.ts';

const config = z.object({
  /** A bot token with the scope `chat:write`: `TIDEGATE_SLACK_TOKEN` or `TIDEGATE_SLACK_TOKEN_FILE`. */
  token: z.string(),
  /** Slack's own address unless set; a Slack-compatible server for tests: `TIDEGATE_SLACK_API_URL`. */
  apiUrl: z.url({ protocol: /^https?$/ }).default('https://slack.com/api/'),
});
type SlackConfig = z.output<typeof config>;

/**
 * Messages to Slack through Slack's own SDK.
 *
 * - `postMessage({ channel, text, blocks? })` returns `{ ts, channel }`.
 * - Slack has no idempotency key: `chat.postMessage` documents none, and posting twice makes two
 *   messages. So a message that may have been posted (connection lost or timed out after the request
 *   went out, worker killed, `internal_error`, a 5xx other than 503) is never posted again by itself:
 *   the failure is `unknown` and the run waits for a person, who looks into the channel and decides
 *   to retry or skip. What Slack refused for certain (rate limits, `service_unavailable`) is repeated.
 * - Each message carries a hash of its idempotency key in its metadata (event type `tidegate_message`;
 *   readable by apps with `conversations.history` and `include_all_metadata`), by which a message
 *   that was posted is found.
 * - Configuration: `TIDEGATE_SLACK_TOKEN`, `TIDEGATE_SLACK_API_URL` (optional).
 * - The fake keeps what would have been posted in the outbox.
 */
export const slackConnector = defineConnector({
  name: 'slack',
  config,
  operations: {
    postMessage: { effect: 'write', timeout: '15s', repeatable: false, run: postMessage },
  },
  fake: fakeSlack,
  classify: classifySlack,
});

async function postMessage(
  message: SlackMessage,
  call: OperationContext<SlackConfig>,
): Promise<SlackReceipt> {
  checkMessage(message);
  const { channel, text, blocks } = message;
  const event_payload = {
    key: createHash('sha256').update(call.idempotencyKey).digest('hex').slice(0, 32),
  };
  const answer = await slackClient(call).chat.postMessage({
    channel,
    text,
    metadata: { event_type: 'tidegate_message', event_payload },
    // Slack checks blocks itself; its types would be ours to keep up with.
    ...(blocks === undefined ? {} : { blocks }),
  } as ChatPostMessageArguments);
  if (answer.ts === undefined || answer.channel === undefined) {
    throw operationError('unknown', 'Slack answered without saying which message it posted');
  }
  return { ts: answer.ts, channel: answer.channel };
}

/** A client for one attempt, because the SDK takes no signal per call; making one costs 0.03 ms. */
function slackClient({ config, signal }: OperationContext<SlackConfig>): WebClient {
  return new WebClient(config.token, {
    slackApiUrl: config.apiUrl,
    allowAbsoluteUrls: false,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    logger: SILENT,
    fetch: classedFetch(config.token, signal),
  });
}

/**
 * The SDK's requests, judged by the rules for everyone's: status classes, `Retry-After`, bounded
 * answers, no redirects. The SDK wraps the error; the rules find it again in its cause.
 */
const classedFetch =
  (token: string, signal: AbortSignal): FetchFunction =>
  async (url, init = {}) => {
    if (init.body instanceof FormData) {
      throw operationError('fatal', 'Slack files cannot be sent by this connector');
    }
    return sendRequest(globalThis.fetch, {
      url: new URL(url),
      method: init.method ?? 'POST',
      headers: new Headers(init.headers),
      signal,
      secrets: [token],
      ...(init.body === undefined ? {} : { body: init.body }),
    });
  };

/** The SDK logs to the console by default, messages included. */
const SILENT = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined,
};
