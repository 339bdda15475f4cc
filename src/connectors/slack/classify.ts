import type { Classify } from '../../model/connector.ts';
import type { ErrorClass } from '../../model/error.ts';

/**
 * Slack answers 200 with `ok: false` and an error code; only rate limits have a status of their own.
 * https://docs.slack.dev/reference/methods/chat.postMessage#errors
 */
const CLASSES: Readonly<Record<string, ErrorClass>> = {
  // "Possibly some aspect of the operation succeeded before the error was raised."
  internal_error: 'unknown',
  fatal_error: 'unknown',

  // Refused before anything was done.
  service_unavailable: 'transient',
  request_timeout: 'transient',
  team_added_to_org: 'transient',
  ratelimited: 'throttled',
  rate_limited: 'throttled',
  message_limit_exceeded: 'throttled',

  // The message itself.
  no_text: 'fatal',
  msg_too_long: 'fatal',
  msg_blocks_too_long: 'fatal',
  invalid_blocks: 'fatal',
  invalid_blocks_format: 'fatal',
  invalid_arguments: 'fatal',
  invalid_arg_name: 'fatal',
  invalid_array_arg: 'fatal',
  invalid_charset: 'fatal',
  invalid_form_data: 'fatal',
  invalid_post_type: 'fatal',
  missing_post_type: 'fatal',
  invalid_metadata_format: 'fatal',
  invalid_metadata_schema: 'fatal',
  metadata_too_large: 'fatal',
  too_many_attachments: 'fatal',
  markdown_text_conflict: 'fatal',
};

/**
 * Everything else that Slack says is about tokens, scopes, channels and workspace settings
 * (`invalid_auth`, `account_inactive`, `not_in_channel`, `channel_not_found`, …): for a person.
 */
export const slackErrorClass = (code: string): ErrorClass =>
  (Object.hasOwn(CLASSES, code) ? CLASSES[code] : undefined) ?? 'persistent';

/** The class of the error that Slack's SDK makes of `ok: false`. */
export const classifySlack: Classify = (error) => {
  const { code, data } = error as {
    readonly code?: unknown;
    readonly data?: {
      readonly error?: unknown;
      readonly response_metadata?: { readonly retryAfter?: unknown };
    };
  };
  if (code !== 'slack_webapi_platform_error') return undefined;
  const said = data?.error;
  // The SDK puts the text of an answer that is not JSON where the code would be.
  if (typeof said !== 'string' || !/^\w{1,64}$/.test(said)) return { errorClass: 'unknown' };
  const seconds = data?.response_metadata?.retryAfter;
  return {
    errorClass: slackErrorClass(said),
    ...(typeof seconds === 'number' ? { retryAfterMs: seconds * 1_000 } : {}),
  };
};
