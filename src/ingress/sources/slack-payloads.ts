/**
 * The parts that we read of what Slack sends: https://docs.slack.dev/reference/events,
 * https://docs.slack.dev/reference/interaction-payloads and
 * https://docs.slack.dev/interactivity/implementing-slash-commands
 */
import { z } from 'zod';
import { idText } from './vendor.ts';

/** `1719209506.817929`: an id as well as a time. */
const ts = z.string().regex(/^\d{1,12}\.\d{1,9}$/);

export const EventCallback = z.object({
  event_id: idText,
  event_time: z.number().nullish(),
  team_id: idText,
  event: z.object({ type: z.string() }).loose(),
  /** For whom the app is installed: its own bot is among them. */
  authorizations: z
    .array(z.object({ user_id: z.string().nullish(), is_bot: z.boolean().nullish() }))
    .nullish(),
});

export const MessageEvent = z.object({
  channel: idText,
  channel_type: z.string().nullish(),
  subtype: z.string().nullish(),
  ts,
  thread_ts: ts.nullish(),
  user: z.string().nullish(),
  bot_id: z.string().nullish(),
  text: z.string().nullish(),
});

export const ReactionEvent = z.object({
  user: z.string(),
  reaction: z.string(),
  item_user: z.string().nullish(),
  event_ts: z.string().nullish(),
  item: z.object({ type: z.string(), channel: idText.nullish(), ts: ts.nullish() }),
});

const option = z.object({ value: z.string().nullish() }).nullish();

/** A field of a form, by any of the members in which its kind keeps what was entered. */
export const InputState = z.object({
  type: z.string(),
  value: z.string().nullish(),
  selected_option: option,
  selected_options: z.array(option).nullish(),
  selected_date: z.string().nullish(),
  selected_time: z.string().nullish(),
  selected_date_time: z.number().nullish(),
  selected_user: z.string().nullish(),
  selected_users: z.array(z.string()).nullish(),
  selected_channel: z.string().nullish(),
  selected_channels: z.array(z.string()).nullish(),
  selected_conversation: z.string().nullish(),
  selected_conversations: z.array(z.string()).nullish(),
});

export const Interaction = z.object({
  type: z.string(),
  team: z.object({ id: z.string() }).nullish(),
  user: z.object({ id: idText }),
  channel: z.object({ id: idText }).nullish(),
  message: z.object({ ts }).nullish(),
  container: z.object({ channel_id: idText.nullish(), message_ts: ts.nullish() }).nullish(),
  callback_id: z.string().nullish(),
  action_ts: z.string().nullish(),
  view: z
    .object({
      id: idText,
      callback_id: z.string().nullish(),
      private_metadata: z.string().nullish(),
      state: z
        .object({ values: z.record(z.string(), z.record(z.string(), InputState)).nullish() })
        .nullish(),
    })
    .nullish(),
  actions: z
    .array(
      InputState.extend({
        action_id: z.string(),
        block_id: z.string(),
        action_ts: z.string().nullish(),
      }),
    )
    .nullish(),
});

export const Command = z.object({
  team_id: z.string(),
  channel_id: idText,
  user_id: z.string(),
  command: z.string(),
  text: z.string().nullish(),
});
