/**
 * What real vendors send and an ingress gets wrong in its first week, each through the real application to a
 * real journal. The headings are those of the list that was made of 201 published bodies of 19 vendors.
 *
 * Elsewhere: AWS SNS with its certificates and the address that a subscription needs visited, in
 * verifiers/in-the-body.test.ts; what is odd in calls to vendors, in test/connectors.
 */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { after, before, describe, it } from 'mocha';
import { defineEvents } from 'tidegate/contracts';
import {
  bindSources,
  defineSource,
  eventTime,
  githubSignature,
  githubSource,
  hmacSignature,
  intercomSignature,
  linearSignature,
  notionSignature,
  pagerdutySignature,
  type Source,
  type SourceEvent,
  sendgridSignature,
  standardWebhooksSignature,
  twilioSignature,
} from 'tidegate/ingress';
import { z } from 'zod';
import { LIMITS } from '../../src/model/limits.ts';
import { githubExample } from './github-examples.ts';
import {
  catalogue,
  deliver,
  fixture,
  fixtureText,
  journalled,
  SOURCES,
  secretOf,
  secretsOf,
  send,
  signature,
  startVendorIngress,
  VENDORS,
} from './sources/deliveries.ts';
import { BATCH, cloudEvent, JSON_TYPE, post, rejections, type TestIngress } from './support.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const SECONDS = String(NOW / 1_000);
const PUBLIC_URL = 'https://hooks.acme.example';
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const sendgridKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

type Fields = Readonly<Record<string, unknown>>;
const seen = (data: unknown, more: Partial<SourceEvent> = {}): SourceEvent => ({
  type: 'thing.seen',
  data: data as SourceEvent['data'],
  ...more,
});

/** Sources as a project writes them for vendors without a ready-made one. */
const plain = defineSource({
  name: 'plain',
  verify: githubSignature(),
  bodies: ['json', 'text', 'form'],
  toEvents: ({ payload }) => [seen(payload)],
});
const salesforce = defineSource({
  name: 'salesforce',
  verify: hmacSignature({ header: 'x-signature', encoding: 'hex' }),
  toEvents: ({ payload, bodyHash }) => {
    const { recordIds, changed } = payload as { recordIds: string[]; changed: number };
    return recordIds.map((id) =>
      seen({ id }, { id: `${bodyHash}.${id}`, subject: id, time: eventTime(changed) }),
    );
  },
});
const statuspage = defineSource({
  name: 'statuspage',
  verify: hmacSignature({ header: 'x-proxy-signature', encoding: 'hex' }),
  toEvents: ({ payload }) => {
    const page = payload as Fields;
    if (page.incident !== undefined) return [seen({ kind: 'incident' })];
    return page.component === undefined ? { ignored: 'neither' } : [seen({ kind: 'component' })];
  },
});
const sendgrid = defineSource({
  name: 'sendgrid',
  verify: sendgridSignature(),
  toEvents: ({ payload, bodyHash }) =>
    (payload as readonly Fields[]).map((event, index) =>
      seen(
        { category: [event.category ?? []].flat() },
        {
          // Older events have no id of their own.
          id: String(event.sg_event_id ?? `${bodyHash}.${index}`),
          time: eventTime(event.timestamp),
        },
      ),
    ),
});
const notion = defineSource({
  name: 'notion',
  verify: notionSignature(),
  toEvents: ({ payload }) => [seen(payload, { id: String((payload as Fields).id) })],
});
const intercom = defineSource({
  name: 'intercom',
  verify: intercomSignature(),
  toEvents: ({ payload }) => {
    const { id, topic, created_at: at } = payload as Fields;
    // Its ping has no id.
    if (topic === 'ping') return [];
    return [seen({ topic }, { id: String(id), time: eventTime(at) })];
  },
});
const linear = defineSource({
  name: 'linear',
  verify: linearSignature(),
  toEvents: ({ payload }) => [seen({}, { time: eventTime((payload as Fields).webhookTimestamp) })],
});
const pagerduty = defineSource({
  name: 'pagerduty',
  verify: pagerdutySignature(),
  toEvents: ({ payload }) => [seen({ bytes: JSON.stringify(payload).length })],
});
const gitlab = defineSource({
  name: 'gitlab',
  verify: standardWebhooksSignature(),
  toEvents: ({ payload }) => [seen(payload, { time: eventTime((payload as Fields).updated_at) })],
});
const twilio = defineSource({
  name: 'twilio',
  verify: twilioSignature(),
  bodies: ['form'],
  toEvents: ({ payload }) => [seen(payload)],
});

const own: readonly Source[] = [
  plain,
  salesforce,
  statuspage,
  sendgrid,
  notion,
  intercom,
  linear,
  pagerduty,
  gitlab,
  twilio,
];
const hex = (name: string, body: string, algorithm = 'sha256') =>
  createHmac(algorithm, secretOf(name)).update(body).digest('hex');
const gitlabKey = Buffer.alloc(32, 7);

const dataOf = ([event]: readonly { readonly data: unknown }[]): Fields =>
  (event ?? assert.fail('there is no event')).data as Fields;

/** The headers by which each of them is signed. */
const signedAs: Readonly<Record<string, (body: string) => Readonly<Record<string, string>>>> = {
  plain: (body) => ({ 'x-hub-signature-256': `sha256=${hex('plain', body)}` }),
  github: (body) => ({ 'x-hub-signature-256': `sha256=${hex('github', body)}` }),
  salesforce: (body) => ({ 'x-signature': hex('salesforce', body) }),
  statuspage: (body) => ({ 'x-proxy-signature': hex('statuspage', body) }),
  notion: (body) => ({ 'x-notion-signature': `sha256=${hex('notion', body)}` }),
  intercom: (body) => ({ 'x-hub-signature': `sha1=${hex('intercom', body, 'sha1')}` }),
  linear: (body) => ({ 'linear-signature': hex('linear', body) }),
  pagerduty: (body) => ({ 'x-pagerduty-signature': `v1=${hex('pagerduty', body)}` }),
  sendgrid: (body) => ({
    'x-twilio-email-event-webhook-timestamp': SECONDS,
    'x-twilio-email-event-webhook-signature': sign(
      'sha256',
      Buffer.from(SECONDS + body),
      sendgridKeys.privateKey,
    ).toString('base64'),
  }),
  gitlab: (body) => {
    const signed = createHmac('sha256', gitlabKey).update(`delivery-1.${SECONDS}.${body}`);
    return {
      'webhook-id': 'delivery-1',
      'webhook-timestamp': SECONDS,
      'webhook-signature': `v1,${signed.digest('base64')}`,
    };
  },
  twilio: (body) => {
    const form = new URLSearchParams(body);
    const fields = [...new Set(form.keys())]
      .sort()
      .map((name) =>
        [...new Set(form.getAll(name))]
          .sort()
          .map((value) => name + value)
          .join(''),
      )
      .join('');
    const signed = `${PUBLIC_URL}/hooks/twilio${fields}`;
    const hmac = createHmac('sha1', secretOf('twilio')).update(signed);
    return { 'x-twilio-signature': hmac.digest('base64'), ...FORM };
  },
};

describe('What vendors really send', () => {
  let ingress: TestIngress;
  before(async () => {
    ingress = await startVendorIngress({
      catalogue: {
        contracts: {
          ...catalogue.contracts,
          ...defineEvents({ 'thing.seen': z.unknown() }).contracts,
        },
      },
      sources: bindSources([...Object.values(SOURCES), githubSource, ...own], {
        ...secretsOf([...VENDORS, 'github', ...own.map(({ name }) => name)]),
        TIDEGATE_SOURCE_GITLAB_SECRET: `whsec_${gitlabKey.toString('base64')}`,
        TIDEGATE_SOURCE_SENDGRID_SECRET: sendgridKeys.publicKey
          .export({ type: 'spki', format: 'der' })
          .toString('base64'),
      }),
    });
  });
  after(() => ingress.stop());

  /** Sends, signed; resolves to the answer and to what is new in the journal. */
  const take = async (
    name: string,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ) => {
    const signed = signedAs[name]?.(body) ?? {};
    return fresh(() =>
      post(`${ingress.url}/hooks/${name}`, body, { ...JSON_TYPE, ...signed, ...headers }),
    );
  };
  const takeVendor = (delivery: ReturnType<typeof fixture>) => fresh(() => send(ingress, delivery));
  const fresh = async (act: () => ReturnType<typeof post>) => {
    const known = new Set(
      (await journalled(ingress)).map(({ event: { source, id } }) => `${source} ${id}`),
    );
    const letters = (await rejections(ingress)).length;
    const answer = await act();
    const events = (await journalled(ingress))
      .map(({ event }) => event)
      .filter(({ source, id }) => !known.has(`${source} ${id}`));
    const refused = (await rejections(ingress)).length - letters;
    const statuses = (answer.body.results ?? []).map(({ status }) => status);
    return { answer, events, refused, statuses };
  };
  const typesOf = (events: readonly { readonly type: string }[]) =>
    events.map(({ type }) => type).sort();

  describe('in the shape of bodies', () => {
    it('an array of several kinds of events (HubSpot), with one kind that nobody mapped', async () => {
      const { statuses, events } = await takeVendor(fixture('hubspot', 'mixed'));
      assert.equal(statuses.filter((status) => status === 'filtered').length, 1);
      assert.equal(events.length, 6);
      assert.ok(typesOf(events).includes('contact.erased'));
    });

    it('an array of which one event is older than ids (SendGrid)', async () => {
      const body = JSON.stringify([
        { event: 'open', sg_event_id: 'sg-1', timestamp: 1_719_209_506, category: 'news' },
        { event: 'click', timestamp: 1_719_209_507, category: ['news', 'welcome'] },
        { event: 'bounce', sg_event_id: 'sg-3', timestamp: 1_719_209_508 },
      ]);
      const { events } = await take('sendgrid', body);
      assert.equal(events.length, 3);
      assert.deepEqual((await take('sendgrid', body)).statuses, [
        'duplicate',
        'duplicate',
        'duplicate',
      ]);
    });

    it('a batch of CloudEvents, and an empty array from anybody', async () => {
      const batch = [cloudEvent(), cloudEvent()];
      const some = await fresh(() => post(`${ingress.url}/events`, JSON.stringify(batch), BATCH));
      assert.equal(some.events.length, 2);
      const none = await fresh(() => post(`${ingress.url}/events`, '[]', BATCH));
      assert.deepEqual([none.answer.status, none.answer.body.results], [202, []]);
      for (const { answer, refused } of [
        await takeVendor(fixture('hubspot', 'empty')),
        await take('sendgrid', '[]'),
      ]) {
        assert.deepEqual([answer.status, answer.body.results, refused], [202, [], 0]);
      }
    });

    it('one event for several records (Salesforce)', async () => {
      const body = '{"recordIds":["001A","001B","001C"],"changed":1719209506817}';
      const { events } = await take('salesforce', body);
      assert.deepEqual(events.map(({ subject }) => subject).sort(), ['001A', '001B', '001C']);
      assert.equal(events[0]?.time, '2024-06-24T06:11:46.817Z');
      assert.deepEqual((await take('salesforce', body)).events, []);
    });

    it('a form with JSON in a field, and one without (Slack)', async () => {
      const pressed = await takeVendor(fixture('slack', 'form.block_actions'));
      const command = await takeVendor(fixture('slack', 'command.deploy'));
      assert.deepEqual(typesOf([...pressed.events, ...command.events]), [
        'command.invoked',
        'interaction.submitted',
      ]);
    });

    it('a form with a key that comes twice, signed with both (Twilio)', async () => {
      const body =
        'From=%2B15550100&MediaUrl=https%3A%2F%2Fa&MediaUrl=https%3A%2F%2Fb&Body=Hi+%26+bye';
      const { events } = await take('twilio', body);
      assert.deepEqual(events[0]?.data, {
        From: '+15550100',
        MediaUrl: ['https://a', 'https://b'],
        Body: 'Hi & bye',
      });
    });

    it('JSON as text/plain (AWS SNS), where the source says so', async () => {
      const text = { 'content-type': 'text/plain; charset=UTF-8' };
      const { events } = await take('plain', '{"Type":"Notification"}', text);
      assert.deepEqual(events[0]?.data, { Type: 'Notification' });
      const { answer } = await take('pagerduty', '{}', text);
      assert.equal(answer.status, 415);
    });

    it('set-up traffic, which is no event (Slack, Intercom, GitHub)', async () => {
      const challenge = deliver('slack', '', '{"type":"url_verification","challenge":"c1"}');
      const slack = await takeVendor(challenge);
      assert.deepEqual([slack.answer.status, slack.answer.body], [200, { challenge: 'c1' }]);
      const check = { vendor: 'slack', body: 'ssl_check=1&token=t', headers: FORM } as const;
      assert.equal((await takeVendor(check)).answer.status, 200);
      const intercom = await take(
        'intercom',
        '{"type":"notification_event","topic":"ping","id":null}',
      );
      const github = await take('github', '{"zen":"Keep it logically awesome."}', {
        'x-github-event': 'ping',
      });
      for (const each of [slack, intercom, github]) {
        assert.deepEqual([each.events, each.refused], [[], 0]);
        assert.ok(each.answer.status < 300);
      }
    });

    it('CloudEvents whose data is no object', async () => {
      for (const [data, kept] of [
        [{ data: 1.5 }, 1.5],
        [{ data: 'text' }, 'text'],
        [{ data: null }, null],
        [{ data: ['a', 1] }, ['a', 1]],
        [{ data_base64: 'eyJhIjoxfQ==', datacontenttype: 'application/json' }, { a: 1 }],
      ] as const) {
        const { data: _, ...envelope } = cloudEvent();
        const body = JSON.stringify({ ...envelope, ...data });
        const { events } = await fresh(() =>
          post(`${ingress.url}/events`, body, { 'content-type': 'application/cloudevents+json' }),
        );
        assert.deepEqual(events[0]?.data, kept);
      }
    });
  });

  describe('in identities and types', () => {
    it('an id in a header alone: another id does not make another event (GitHub, Shopify)', async () => {
      const { payload } = githubExample('issues', ({ action }) => action === 'opened');
      const body = JSON.stringify(payload);
      const under = (id: string) => ({ 'x-github-event': 'issues', 'x-github-delivery': id });
      assert.equal((await take('github', body, under('one'))).events.length, 1);
      assert.deepEqual((await take('github', body, under('two'))).statuses, ['duplicate']);
      const deleted = fixture('shopify', 'orders-delete');
      assert.deepEqual(typesOf((await takeVendor(deleted)).events), ['order.deleted']);
      const again = { ...deleted, headers: { ...deleted.headers, 'x-shopify-webhook-id': 'two' } };
      assert.deepEqual((await takeVendor(again)).events, []);
    });

    it('an id in a header that is signed (GitLab)', async () => {
      const first = await take(
        'gitlab',
        '{"object_kind":"push","updated_at":"2016-08-12 15:23:28 UTC"}',
      );
      assert.deepEqual(
        first.events.map(({ id, time }) => [id, time]),
        [['delivery-1', '2016-08-12T15:23:28Z']],
      );
      assert.deepEqual((await take('gitlab', '{"object_kind":"push"}')).statuses, ['duplicate']);
    });

    it('no id anywhere, and a type that follows from the members (Statuspage)', async () => {
      const incident = '{"page":{"id":"p"},"incident":{"name":"Down"}}';
      const component = '{"page":{"id":"p"},"component":{"name":"API"}}';
      const events = [
        ...(await take('statuspage', incident)).events,
        ...(await take('statuspage', component)).events,
      ];
      assert.deepEqual(
        events.map(({ data }) => data),
        [{ kind: 'incident' }, { kind: 'component' }],
      );
      assert.deepEqual((await take('statuspage', incident)).statuses, ['duplicate']);
    });

    it('no id anywhere in what admins and users make (Zendesk triggers, Slack’s forms)', async () => {
      for (const delivery of [
        fixture('zendesk', 'trigger.ticket.status_changed'),
        fixture('slack', 'form.shortcut'),
      ]) {
        assert.equal((await takeVendor(delivery)).events.length, 1);
        assert.deepEqual((await takeVendor(delivery)).events, []);
      }
    });

    const [created] = JSON.parse(fixtureText('hubspot', 'mixed')) as readonly Fields[];
    const hubspot = (...changes: readonly Fields[]) =>
      takeVendor(
        deliver(
          'hubspot',
          '',
          JSON.stringify(changes.map((change) => ({ ...created, ...change }))),
        ),
      );

    it('an id that is not unique (HubSpot’s eventId)', async () => {
      const two = await hubspot({ eventId: 1, objectId: 501 }, { eventId: 1, objectId: 502 });
      assert.equal(two.events.length, 2);
    });

    it('one type under two names (HubSpot’s eventType and subscriptionType)', async () => {
      const { subscriptionType, ...other }: Fields = { ...created, objectId: 503 };
      const body = JSON.stringify([{ ...other, eventType: subscriptionType }]);
      const { events } = await takeVendor(deliver('hubspot', '', body));
      assert.deepEqual(typesOf(events), ['contact.created']);
      assert.deepEqual((await hubspot({ objectId: 503 })).statuses, ['duplicate']);
    });

    it('a count of attempts that makes each retry another body (HubSpot, Notion, Intercom)', async () => {
      assert.equal((await hubspot({ objectId: 504, attemptNumber: 0 })).events.length, 1);
      assert.deepEqual((await hubspot({ objectId: 504, attemptNumber: 3 })).statuses, [
        'duplicate',
      ]);
      for (const [name, counter] of [
        ['notion', 'attempt_number'],
        ['intercom', 'delivery_attempts'],
      ] as const) {
        const attempt = (count: number) =>
          take(name, JSON.stringify({ id: 'n-1', topic: 't', [counter]: count }));
        assert.equal((await attempt(1)).events.length, 1, name);
        assert.deepEqual((await attempt(2)).statuses, ['duplicate'], name);
      }
    });
  });

  describe('that JavaScript gets wrong', () => {
    it('ids beyond 2^53, which are other ids when they are rounded (Shopify)', async () => {
      const ids = ['820982911946154508', '820982911946154509', '9007199254740993'];
      assert.equal(new Set(ids.slice(0, 2).map(Number)).size, 1);
      const events = [];
      for (const id of ids) {
        const body = `{"id": ${id}0}`;
        events.push(...(await takeVendor(deliver('shopify', 'orders-delete', body))).events);
      }
      assert.deepEqual(
        events.map(({ subject, data }) => [subject, data]),
        ids.map((id) => [`${id}0`, { orderId: `${id}0` }]),
      );
      const inexact = deliver('shopify', 'orders-delete', '{"id": 8.20982911946154508e17}');
      const { events: none, refused } = await takeVendor(inexact);
      assert.deepEqual([none, refused], [[], 1]);
    });

    it('a member named toString, also where it is missing (Jira)', async () => {
      const { events } = await takeVendor(fixture('jira', 'issue_updated'));
      const updated = events.filter(({ type }) => type === 'issue.updated');
      assert.deepEqual(dataOf(updated).changes, [
        { field: 'status', from: 'To Do', to: 'In Progress' },
        { field: 'assignee', from: 'Ada Example' },
        { field: 'description', to: 'It fails' },
      ]);
      const without = fixtureText('jira', 'issue_updated')
        .replaceAll('"toString"', '"notToString"')
        .replace('10124', '10999');
      const other = await takeVendor(deliver('jira', '', without));
      assert.deepEqual(typesOf(other.events), ['issue.updated']);
      const named = await take('plain', '{"items":[{"toString":null},{"valueOf":1}]}');
      assert.equal(
        JSON.stringify(named.events[0]?.data),
        '{"items":[{"toString":null},{"valueOf":1}]}',
      );
    });

    it('text that looks like a template, which is only text (Stripe, Slack, Jira)', async () => {
      const paid = await takeVendor(fixture('stripe', 'checkout.session.completed'));
      const { metadata } = dataOf(paid.events);
      assert.deepEqual(metadata, { '{{answer}}': `${'$'}{{amount}}` });
      const message = await takeVendor(fixture('slack', 'message'));
      assert.match(String(dataOf(message.events).text), /\{\{deploy\}\}/);
    });

    it('members that are named like parts of every object', async () => {
      const { events } = await take(
        'plain',
        '{"constructor":{"prototype":1},"hasOwnProperty":true}',
      );
      assert.deepEqual(events[0]?.data, { constructor: { prototype: 1 }, hasOwnProperty: true });
      const proto = await take('plain', '{"__proto__":{"admin":true}}');
      assert.deepEqual([proto.statuses, proto.refused], [['rejected'], 1]);
      assert.equal(({} as { admin?: boolean }).admin, undefined);
      // What a mapping does not take from a payload does not matter in it.
      const text = fixtureText('jira', 'comment_created')
        .replace('{', '{"__proto__":{"admin":true},"constructor":null,')
        .replaceAll('10200', '10201');
      assert.equal((await takeVendor(deliver('jira', '', text))).events.length, 1);
    });

    it('half surrogate pairs and NUL, which PostgreSQL’s text refuses', async () => {
      const text = '{"text":"a\\u0000b \\ud800 c"}';
      const { events } = await take('plain', text);
      assert.deepEqual(events[0]?.data, JSON.parse(text));
      const message = fixtureText('slack', 'message')
        .replace('Is the', 'Is\\u0000\\udfff the')
        .replace('Ev0ACME0001', 'Ev0ACME0999');
      const posted = await takeVendor(deliver('slack', 'message', message));
      assert.match(String(dataOf(posted.events).text), /^Is\0\udfff the/);
    });
  });

  describe('in times and numbers', () => {
    it('seconds, milliseconds and ISO, one after the other and within one vendor', async () => {
      const times: [string, string | undefined][] = [];
      for (const delivery of [
        fixture('stripe', 'invoice.paid'),
        fixture('slack', 'reaction_added'),
        fixture('zendesk', 'event.ticket.created'),
        fixture('shopify', 'customers-create'),
        fixture('jira', 'sprint_started'),
      ]) {
        const { events } = await takeVendor(delivery);
        times.push([delivery.vendor, events[0]?.time]);
      }
      assert.deepEqual(times, [
        ['stripe', '2025-11-21T04:40:01.000Z'],
        ['slack', '2024-06-24T06:20:00.000500Z'],
        ['zendesk', '2026-11-20T14:32:26.784534301Z'],
        ['shopify', '2026-11-20T19:00:00-05:00'],
        ['jira', '2025-11-20T09:00:00.456Z'],
      ]);
      const comment = fixtureText('jira', 'comment_created').replaceAll('10200', '10777');
      const [added] = (await takeVendor(deliver('jira', '', comment))).events;
      assert.equal(added?.time, '2026-11-20T09:31:21.123-08:00');
    });

    it('seconds beside ISO in one payload (GitHub’s push)', async () => {
      const { payload } = githubExample('push', ({ ref }) => ref === 'refs/heads/master');
      const repository = payload.repository as Fields;
      for (const [pushedAt, time] of [
        [1_719_209_506, '2024-06-24T06:11:46.000Z'],
        ['2024-06-24T06:11:47Z', '2024-06-24T06:11:47Z'],
      ] as const) {
        const body = JSON.stringify({
          ...payload,
          repository: { ...repository, pushed_at: pushedAt },
        });
        const { events } = await take('github', body, { 'x-github-event': 'push' });
        assert.equal(events[0]?.time, time);
      }
    });

    it('a signed time that was ISO once and is a number now (Linear): the old form is refused', async () => {
      const now = await take('linear', `{"webhookTimestamp":${NOW}}`);
      assert.equal(now.events[0]?.time, new Date(NOW).toISOString());
      const then = await take('linear', `{"webhookTimestamp":"${new Date(NOW).toISOString()}"}`);
      assert.equal(then.answer.status, 401);
    });

    it('a time that is an id too, and money and properties that are text (Slack, Shopify, HubSpot)', async () => {
      const order = fixtureText('shopify', 'orders-create').replace('820982911946154508', '4711');
      const bought = await takeVendor(
        deliver('shopify', 'orders-create', order.replaceAll('"199.00"', '"0.10"')),
      );
      const { totalPrice, lines } = dataOf(bought.events);
      assert.deepEqual([totalPrice, (lines as readonly Fields[])[0]?.price], ['398.00', '0.10']);
      const dealt = JSON.parse(fixtureText('hubspot', 'mixed')) as readonly Fields[];
      const amount = { ...dealt[3], objectId: 4712 };
      const { events } = await takeVendor(deliver('hubspot', '', JSON.stringify([amount])));
      assert.equal(dataOf(events).propertyValue, '1200.50');
      const message = fixtureText('slack', 'message')
        .replaceAll('1719209506.817929', '1719209506.100000')
        .replace('Ev0ACME0001', 'Ev0ACME0998');
      const { events: posted } = await takeVendor(deliver('slack', 'message', message));
      assert.equal(dataOf(posted).ts, '1719209506.100000');
    });

    it('one field of several types (SendGrid’s category, Zendesk’s tags)', async () => {
      for (const [category, kept] of [
        ['news', ['news']],
        [
          ['news', 'sale'],
          ['news', 'sale'],
        ],
        [undefined, []],
      ] as const) {
        const body = JSON.stringify([
          { sg_event_id: `c-${kept.length}`, timestamp: 1_719_209_506, category },
        ]);
        assert.deepEqual((await take('sendgrid', body)).events[0]?.data, { category: kept });
      }
      for (const [index, [tags, kept]] of (
        [
          [
            ['a', 'b'],
            ['a', 'b'],
          ],
          [null, []],
          ['a  b', ['a', 'b']],
          ['', []],
        ] as const
      ).entries()) {
        const event = JSON.parse(fixtureText('zendesk', 'event.ticket.created')) as Fields;
        const body = JSON.stringify({
          ...event,
          id: `tags-${index}`,
          detail: { ...(event.detail as Fields), tags },
        });
        const { events } = await takeVendor(deliver('zendesk', '', body));
        assert.deepEqual(dataOf(events).tags, kept);
      }
    });
  });

  describe('in raw bytes', () => {
    it('a body that ends in CRLF, which is signed (SendGrid)', async () => {
      const body = '[{"sg_event_id":"crlf","timestamp":1719209506}]\r\n';
      assert.equal((await take('sendgrid', body)).events.length, 1);
      const trimmed = await take('sendgrid', body.trimEnd(), signedAs.sendgrid?.(body));
      assert.equal(trimmed.answer.status, 401);
    });

    it('an address that is signed: the public one of the configuration, whatever the host says (Twilio)', async () => {
      const body = 'From=%2B15550101&Body=Hi';
      const { answer } = await take('twilio', body, { 'x-forwarded-host': 'other.example' });
      assert.equal(answer.status, 202);
      const local = createHmac('sha1', secretOf('twilio'))
        .update(`${ingress.url}/hooks/twilioBodyHiFrom+15550102`)
        .digest('base64');
      const called = await take('twilio', body.replace('101', '102'), {
        'x-twilio-signature': local,
      });
      assert.equal(called.answer.status, 401);
    });

    it('several signatures in one header, of which one is ours (PagerDuty)', async () => {
      const body = '{"event":{"id":"several"}}';
      const ours = `v1=${hex('pagerduty', body)}`;
      const other = `v1=${hex('another', body)}`;
      for (const header of [`${other},${ours}`, `${ours},${other}`]) {
        const { answer } = await take('pagerduty', body, { 'x-pagerduty-signature': header });
        assert.equal(answer.status, 202);
      }
      const none = await take('pagerduty', body, { 'x-pagerduty-signature': `${other},${other}` });
      assert.equal(none.answer.status, 401);
    });

    it('bodies as large as vendors send them (PagerDuty’s 256 KB, GitHub’s pull requests)', async () => {
      const body = JSON.stringify({ event: { id: 'large', text: 'x'.repeat(262_144 - 40) } });
      assert.ok(body.length > 262_000 && body.length < LIMITS.bodyBytesMax);
      const { events } = await take('pagerduty', body);
      assert.deepEqual(events[0]?.data, { bytes: body.length });
    });

    it('a signature over the bytes that came, not over the JSON in them', async () => {
      const spaced = fixture('stripe', 'charge.refunded');
      const signed = signature(spaced);
      const compact = JSON.stringify(JSON.parse(spaced.body));
      const { answer } = await fresh(() =>
        post(`${ingress.url}/hooks/stripe`, compact, { ...spaced.headers, ...signed }),
      );
      assert.equal(answer.status, 401);
    });
  });
});
