import { z } from 'zod';

/** A message is known by its channel and its `ts`, which is an id and a time: it stays text. */
const message = z.object({
  teamId: z.string(),
  channelId: z.string(),
  /** `channel`, `group`, `im` or `mpim`, where Slack says it. */
  channelType: z.string().optional(),
  ts: z.string(),
  /** The `ts` of the message that began the thread. */
  threadTs: z.string().optional(),
  userId: z.string().optional(),
  /** Whose it is when a bot posted it, such as our own. */
  botId: z.string().optional(),
  text: z.string(),
});

const reaction = z.object({
  teamId: z.string(),
  /** The message that was reacted to. */
  channelId: z.string(),
  ts: z.string(),
  /** Without colons, such as `white_check_mark`. */
  reaction: z.string(),
  userId: z.string(),
  /** Whose message it is. */
  authorId: z.string().optional(),
});

/**
 * What the Slack source says happened: `defineEvents({ ...slackEvents, … })`. The subject of messages and
 * reactions is `channel/ts`, of an interaction what it was made in, of a command its channel.
 */
export const slackEvents = {
  'message.posted': message,
  'app.mentioned': message,
  'reaction.added': reaction,
  'reaction.removed': reaction,
  'interaction.submitted': z.object({
    /** A button or a field of a message, a modal that was sent, or a shortcut. */
    kind: z.enum(['block_actions', 'view_submission', 'shortcut', 'message_action']),
    teamId: z.string().optional(),
    userId: z.string(),
    channelId: z.string().optional(),
    messageTs: z.string().optional(),
    viewId: z.string().optional(),
    callbackId: z.string().optional(),
    /** What your side put into the modal. */
    privateMetadata: z.string().optional(),
    /** What was pressed, or every field of a modal. */
    inputs: z.array(
      z.object({
        blockId: z.string(),
        actionId: z.string(),
        type: z.string(),
        /** The chosen or written values; none for an empty field. */
        values: z.array(z.string()),
      }),
    ),
  }),
  'command.invoked': z.object({
    teamId: z.string(),
    channelId: z.string(),
    userId: z.string(),
    /** With its slash. */
    command: z.string(),
    /** What stands behind it. */
    text: z.string(),
  }),
} as const;
