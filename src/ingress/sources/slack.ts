import type { z } from 'zod';
import type { Json } from '../../model/event.ts';
import { isRecord, parseJsonText } from '../json.ts';
import type { Mapped, Source, SourceDelivery, SourceEvent } from '../source.ts';
import { slackHandshake } from '../verifiers/handshakes.ts';
import { slackSignature } from '../verifiers/timed-hmac.ts';
import type { slackEvents } from './slack-events.ts';
import {
  Command,
  EventCallback,
  type InputState,
  Interaction,
  MessageEvent,
  ReactionEvent,
} from './slack-payloads.ts';
import { by, factsOf, known, notMapped, type VendorOptions, vendorSource, when } from './vendor.ts';

/**
 * Slack's Events API, interactions and slash commands, all at one address. Set TIDEGATE_SOURCE_SLACK_SECRET to
 * the app's signing secret.
 *
 * The id of an event is Slack's `event_id`; interactions and commands have none and are known by the hash of
 * the signed body. What Slack takes as an answer in the channel is not built: the answer is an empty 200.
 *
 * @example
 * ```ts
 * export const sources = [slackSource()];
 * ```
 */
export const slackSource = (options: VendorOptions = {}): Source =>
  vendorSource(
    {
      name: 'slack',
      verify: slackSignature(),
      handshake: slackHandshake,
      bodies: ['json', 'form'],
      // Slack shows people what a command answers, and takes a modal's answer for instructions.
      acknowledge: 200,
      toEvents,
    },
    options,
  );

const fact = factsOf<typeof slackEvents>();

function toEvents({ payload }: SourceDelivery): Mapped {
  if (!isRecord(payload)) throw new Error('the body is no object');
  if (typeof payload.payload === 'string') return fromInteraction(parseJsonText(payload.payload));
  if (payload.command !== undefined) return [fromCommand(Command.parse(payload))];
  if (payload.ssl_check !== undefined) return { ignored: 'slack: a check of the certificate' };
  if (payload.type === 'event_callback') return fromCallback(EventCallback.parse(payload));
  return notMapped('slack', payload.type);
}

function fromCallback(callback: z.output<typeof EventCallback>): Mapped {
  const { event_id: id, event_time: time } = callback;
  const mapped = fromEvent(callback);
  return 'ignored' in mapped ? mapped : [{ ...when(time), ...mapped, id }];
}

function fromEvent(
  callback: z.output<typeof EventCallback>,
): SourceEvent | { readonly ignored: string } {
  const { event, team_id: teamId } = callback;
  switch (event.type) {
    case 'message': {
      const message = MessageEvent.parse(event);
      const { subtype } = message;
      return subtype === undefined || subtype === null || POSTED.has(subtype)
        ? fromMessage('message.posted', message, teamId)
        : notMapped('slack', `message.${subtype}`);
    }
    case 'app_mention':
      return fromMessage('app.mentioned', MessageEvent.parse(event), teamId);
    case 'reaction_added':
      return fromReaction('reaction.added', ReactionEvent.parse(event), callback);
    case 'reaction_removed':
      return fromReaction('reaction.removed', ReactionEvent.parse(event), callback);
    default:
      return notMapped('slack', event.type);
  }
}

/** Subtypes by which somebody said something; the others tell of edits, joins and topics. */
const POSTED: ReadonlySet<string> = new Set([
  'bot_message',
  'file_share',
  'me_message',
  'thread_broadcast',
]);

function fromMessage(
  type: 'message.posted' | 'app.mentioned',
  message: z.output<typeof MessageEvent>,
  teamId: string,
): SourceEvent {
  const { channel: channelId, ts, user, bot_id: botId } = message;
  return fact(type, {
    subject: `${channelId}/${ts}`,
    ...when(ts),
    ...by(user ?? botId),
    origin: botId === undefined || botId === null ? 'human' : 'system',
    data: {
      teamId,
      channelId,
      channelType: known(message.channel_type),
      ts,
      threadTs: known(message.thread_ts),
      userId: known(user),
      botId: known(botId),
      text: message.text ?? '',
    },
  });
}

function fromReaction(
  type: 'reaction.added' | 'reaction.removed',
  event: z.output<typeof ReactionEvent>,
  { team_id: teamId, authorizations }: z.output<typeof EventCallback>,
): SourceEvent | { readonly ignored: string } {
  const { channel: channelId, ts } = event.item;
  // Slack used to send reactions to files.
  if (event.item.type !== 'message') return notMapped('slack', `reaction.${event.item.type}`);
  if (!channelId || !ts) throw new Error('the item of the reaction has no channel or no ts');
  const isOurBot = (authorizations ?? []).some(
    ({ is_bot: isBot, user_id: userId }) => isBot === true && userId === event.user,
  );
  return fact(type, {
    subject: `${channelId}/${ts}`,
    ...when(event.event_ts),
    ...by(event.user),
    origin: isOurBot ? 'system' : 'human',
    data: {
      teamId,
      channelId,
      ts,
      reaction: event.reaction,
      userId: event.user,
      authorId: known(event.item_user),
    },
  });
}

const KINDS = ['block_actions', 'view_submission', 'shortcut', 'message_action'] as const;

function fromInteraction(payload: Json): Mapped {
  const interaction = Interaction.parse(payload);
  const kind = KINDS.find((each) => each === interaction.type);
  if (kind === undefined) return notMapped('slack', interaction.type);
  const { view, container, actions } = interaction;
  const channelId = known(interaction.channel?.id ?? container?.channel_id);
  const messageTs = known(interaction.message?.ts ?? container?.message_ts);
  const callbackId = known(view?.callback_id ?? interaction.callback_id);
  const message = channelId && messageTs && `${channelId}/${messageTs}`;
  const subject = message || view?.id || channelId || interaction.user.id;
  return [
    fact('interaction.submitted', {
      subject,
      ...when(interaction.action_ts, actions?.[0]?.action_ts),
      ...by(interaction.user.id),
      origin: 'human',
      data: {
        kind,
        teamId: interaction.team?.id,
        userId: interaction.user.id,
        channelId,
        messageTs,
        viewId: view?.id,
        callbackId,
        privateMetadata: known(view?.private_metadata),
        inputs: inputsOf(interaction),
      },
    }),
  ];
}

function inputsOf({ type, actions, view }: z.output<typeof Interaction>) {
  if (type !== 'view_submission') {
    return (actions ?? []).map((action) =>
      input({ blockId: action.block_id, actionId: action.action_id }, action),
    );
  }
  return Object.entries(view?.state?.values ?? {}).flatMap(([blockId, fields]) =>
    Object.entries(fields).map(([actionId, state]) => input({ blockId, actionId }, state)),
  );
}

function input(
  place: { readonly blockId: string; readonly actionId: string },
  state: z.output<typeof InputState>,
) {
  const single = [
    state.value,
    state.selected_option?.value,
    state.selected_date,
    state.selected_time,
    state.selected_date_time?.toString(),
    state.selected_user,
    state.selected_channel,
    state.selected_conversation,
  ];
  const several = [
    state.selected_options?.map((option) => option?.value),
    state.selected_users,
    state.selected_channels,
    state.selected_conversations,
  ];
  const values = [...single, ...several.flatMap((each) => each ?? [])].filter(
    (value) => value !== undefined && value !== null,
  );
  return { ...place, type: state.type, values };
}

/** Slack's `response_url` and `trigger_id` are left out: who has them can post as the app for a while. */
const fromCommand = (command: z.output<typeof Command>): SourceEvent =>
  fact('command.invoked', {
    subject: command.channel_id,
    ...by(command.user_id),
    origin: 'human',
    data: {
      teamId: command.team_id,
      channelId: command.channel_id,
      userId: command.user_id,
      command: command.command,
      text: command.text ?? '',
    },
  });
