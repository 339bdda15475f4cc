import { type Answer, startReceiver } from './local-server.ts';

export interface PostedMessage {
  readonly ts: string;
  readonly channel: string;
  readonly text: string;
  readonly blocks: unknown;
  readonly metadata: unknown;
}

const CHANNELS: Readonly<Record<string, string>> = {
  '#deals': 'C0DEALS0001',
  C0DEALS0001: 'C0DEALS0001',
};

/**
 * `chat.postMessage` as Slack documents it: a form with blocks and metadata as JSON text, 200 with
 * `ok` for everything but rate limits, no idempotency. `before` answers instead; `after` answers
 * instead although the message was posted.
 */
export async function startSlack(token: string) {
  const messages: PostedMessage[] = [];
  const next: { before?: Answer; after?: Answer } = {};
  const said = (body: object): Answer => ({
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
  });
  const receiver = await startReceiver(({ method, url, headers, body }) => {
    if (next.before !== undefined) return next.before;
    if (method !== 'POST' || url !== '/api/chat.postMessage') {
      return said({ ok: false, error: 'unknown_method' });
    }
    if (headers.authorization !== `Bearer ${token}`) {
      return said({ ok: false, error: headers.authorization ? 'invalid_auth' : 'not_authed' });
    }
    const form = new URLSearchParams(body);
    const channel = CHANNELS[form.get('channel') ?? ''];
    const text = form.get('text') ?? '';
    if (channel === undefined) return said({ ok: false, error: 'channel_not_found' });
    if (text === '' && !form.has('blocks')) return said({ ok: false, error: 'no_text' });
    const ts = `1700000000.${String(messages.length + 1).padStart(6, '0')}`;
    const parsed = (field: string): unknown => JSON.parse(form.get(field) ?? 'null');
    messages.push({ ts, channel, text, blocks: parsed('blocks'), metadata: parsed('metadata') });
    return next.after ?? said({ ok: true, channel, ts, message: { text, type: 'message' } });
  });
  const slackSays = (error: string): Answer => said({ ok: false, error });
  return { ...receiver, url: `${receiver.url}/api/`, messages, next, slackSays };
}
