import assert from 'node:assert/strict';
import { slackErrorClass } from '../../src/connectors/slack/classify.ts';
import { slackConnector } from '../../src/connectors/slack/index.ts';
import type { BoundConnector } from '../../src/model/connector.ts';
import type { ErrorClass } from '../../src/model/error.ts';
import { until } from '../support/wait.ts';
import { bindOne, memoryOutbox, problemFrom, testCall } from './support/bound.ts';
import type { Answer } from './support/local-server.ts';
import { startSlack } from './support/slack-server.ts';

const TOKEN = 'xoxb-1234-secret-token';

interface World {
  readonly bound: BoundConnector;
  messages(): readonly { readonly text: string; readonly blocks: unknown }[];
  close(): Promise<void>;
}

async function realWorld(): Promise<World> {
  const slack = await startSlack(TOKEN);
  const env = { TIDEGATE_SLACK_TOKEN: TOKEN, TIDEGATE_SLACK_API_URL: slack.url };
  return {
    bound: bindOne(slackConnector, env),
    messages: () => slack.messages.map(({ text, blocks }) => ({ text, blocks })),
    close: slack.close,
  };
}

async function fakeWorld(): Promise<World> {
  const outbox = memoryOutbox();
  return {
    bound: bindOne(slackConnector, {}, outbox),
    messages: () =>
      outbox.entries.map(({ input }) => {
        const { text, blocks = null } = input as {
          readonly text: string;
          readonly blocks?: unknown;
        };
        return { text, blocks };
      }),
    close: async () => undefined,
  };
}

for (const [name, start] of [
  ["slack against a server with Slack's manners", realWorld],
  ['the fake of slack', fakeWorld],
] as const) {
  describe(name, () => {
    let world: World;
    beforeEach(async () => {
      world = await start();
    });
    afterEach(() => world.close());
    const post = (input: object, idempotencyKey = 'run-1/step-1') =>
      world.bound.run('postMessage', input as never, testCall({ idempotencyKey }));

    it('posts a message and says where it is', async () => {
      const receipt = (await post({ channel: '#deals', text: 'Ähm: a & b = 100%' })) as {
        readonly ts: string;
        readonly channel: string;
      };
      assert.match(receipt.ts, /^\d{10}\.\d{6}$/);
      assert.match(receipt.channel, /^C[A-Z0-9]{8,}$/);
      assert.deepEqual(Object.keys(receipt).sort(), ['channel', 'ts']);
      assert.deepEqual(world.messages(), [{ text: 'Ähm: a & b = 100%', blocks: null }]);
    });

    it('keeps the id of a channel', async () => {
      const receipt = await post({ channel: 'C0DEALS0001', text: 'hi' });
      assert.equal((receipt as { readonly channel: string }).channel, 'C0DEALS0001');
    });

    it('posts blocks, with or without text', async () => {
      const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: '*Won*' } }];
      await post({ channel: '#deals', text: 'Won', blocks });
      await post({ channel: '#deals', text: '', blocks }, 'another');
      assert.deepEqual(world.messages(), [
        { text: 'Won', blocks },
        { text: '', blocks },
      ]);
    });

    it('gives different messages different timestamps', async () => {
      const receipts = [
        await post({ channel: '#deals', text: 'hi' }, 'one'),
        await post({ channel: '#deals', text: 'hi' }, 'two'),
      ];
      assert.notDeepEqual(receipts[0], receipts[1]);
      assert.equal(world.messages().length, 2);
    });

    it('refuses a message that cannot be right, and posts nothing', async () => {
      const refused = [
        { channel: '#deals', text: '' },
        { channel: ' ', text: 'hi' },
        { channel: '#deals', text: 'x'.repeat(40_001) },
        { channel: '#deals', text: 'x', blocks: Array(51).fill({ type: 'divider' }) },
      ];
      for (const input of refused) {
        assert.equal((await problemFrom(post(input))).errorClass, 'fatal');
      }
      assert.equal(world.messages().length, 0);
    });
  });
}

describe('slack', () => {
  let slack: Awaited<ReturnType<typeof startSlack>>;
  before(async () => {
    slack = await startSlack(TOKEN);
  });
  after(() => slack.close());
  beforeEach(() => {
    delete slack.next.before;
    delete slack.next.after;
  });
  const bound = (token = TOKEN) =>
    bindOne(slackConnector, { TIDEGATE_SLACK_TOKEN: token, TIDEGATE_SLACK_API_URL: slack.url });
  const post = (channel = '#deals', token = TOKEN, signal = new AbortController().signal) =>
    bound(token).run('postMessage', { channel, text: 'hi' }, testCall({ signal }));

  it('marks a message by the hash of its idempotency key, so that it can be found', async () => {
    await post();
    assert.deepEqual(slack.messages.at(-1)?.metadata, {
      event_type: 'tidegate_message',
      event_payload: { key: '68be6aab71da8ebd962c5df4a96db205' },
    });
  });

  it('is persistent for a wrong token, without repeating it', async () => {
    const { errorClass, message } = await problemFrom(post('#deals', 'xoxb-wrong-token'));
    assert.equal(errorClass, 'persistent');
    assert.match(message, /invalid_auth/);
    assert.doesNotMatch(message, /wrong-token/);
  });

  it('is persistent for a channel that is not there', async () => {
    const { errorClass, message } = await problemFrom(post('#nowhere'));
    assert.equal(errorClass, 'persistent');
    assert.match(message, /channel_not_found/);
  });

  const codes: readonly (readonly [string, ErrorClass])[] = [
    ['invalid_auth', 'persistent'],
    ['account_inactive', 'persistent'],
    ['token_revoked', 'persistent'],
    ['missing_scope', 'persistent'],
    ['not_in_channel', 'persistent'],
    ['is_archived', 'persistent'],
    ['a_code_of_next_year', 'persistent'],
    ['constructor', 'persistent'],
    ['msg_too_long', 'fatal'],
    ['no_text', 'fatal'],
    ['invalid_blocks', 'fatal'],
    ['ratelimited', 'throttled'],
    ['service_unavailable', 'transient'],
    ['request_timeout', 'transient'],
    ['internal_error', 'unknown'],
    ['fatal_error', 'unknown'],
  ];
  for (const [code, errorClass] of codes) {
    it(`is ${errorClass} when Slack says ${code}`, async () => {
      slack.next.before = slack.slackSays(code);
      assert.equal((await problemFrom(post())).errorClass, errorClass);
      assert.equal(slackErrorClass(code), errorClass);
    });
  }

  it('asks once, and waits as Retry-After says, when Slack limits the rate', async () => {
    for (const header of ['30', new Date(Date.now() + 30_000).toUTCString()]) {
      slack.next.before = { status: 429, headers: { 'retry-after': header }, body: 'slow down' };
      const before = slack.requests.length;
      const { errorClass, retryAfterMs = 0 } = await problemFrom(post());
      assert.equal(errorClass, 'throttled');
      assert.ok(retryAfterMs > 20_000 && retryAfterMs <= 30_000);
      assert.equal(slack.requests.length, before + 1);
    }
  });

  const doubtful: readonly (readonly [string, Answer])[] = [
    ['the connection ends before the answer', { cut: 'before' }],
    ['the connection ends within the answer', { cut: 'within' }],
    ['Slack answers 500', { status: 500 }],
    ['a proxy answers 502', { status: 502, body: '<html>bad gateway</html>' }],
    ['something answers 200 that is not Slack', { body: '<html>welcome</html>' }],
  ];
  for (const [when, answer] of doubtful) {
    it(`is unknown when ${when}: the message may be there, and Slack would post it twice`, async () => {
      slack.next.after = answer;
      const before = slack.messages.length;
      assert.equal((await problemFrom(post())).errorClass, 'unknown');
      assert.equal(slack.messages.length, before + 1);
    });
  }

  it('is unknown when it is stopped while Slack has the message', async () => {
    slack.next.after = { silent: true };
    const controller = new AbortController();
    const before = slack.messages.length;
    const running = problemFrom(post('#deals', TOKEN, controller.signal));
    await until('the message', () => slack.messages.length > before);
    controller.abort(new DOMException('15s are over', 'TimeoutError'));
    assert.equal((await running).errorClass, 'unknown');
  });

  it('is transient when the message cannot have been posted', async () => {
    slack.next.before = { status: 503, headers: { 'retry-after': '5' } };
    const problem = await problemFrom(post());
    assert.deepEqual([problem.errorClass, problem.retryAfterMs], ['transient', 5_000]);
    const closed = await startSlack(TOKEN);
    await closed.close();
    const gone = bindOne(slackConnector, {
      TIDEGATE_SLACK_TOKEN: TOKEN,
      TIDEGATE_SLACK_API_URL: closed.url,
    });
    const refused = gone.run('postMessage', { channel: '#deals', text: 'hi' }, testCall());
    assert.equal((await problemFrom(refused)).errorClass, 'transient');
  });

  it('follows no redirect with the token', async () => {
    slack.next.before = { status: 302, headers: { location: 'http://127.0.0.1:1/steal' } };
    assert.equal((await problemFrom(post())).errorClass, 'persistent');
  });
});
