import assert from 'node:assert/strict';
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import {
  bindSources,
  defineSource,
  githubSignature,
  headerToken,
  hmacSignature,
  hubspotSignature,
  type Source,
  teamsSignature,
} from 'tidegate/ingress';
import { createAccess } from '../../src/access/authenticate.ts';
import { readConfig } from '../../src/config.ts';
import { journalSealing } from '../../src/encryption/index.ts';
import { readKeyring } from '../../src/encryption/keyring.ts';
import { startIngress } from '../../src/ingress/main.ts';
import { verifyAgain } from '../../src/ingress/raw-delivery.ts';
import { apiKeysOf } from '../../src/journal/api-keys.ts';
import { makeAppender } from '../../src/journal/append.ts';
import { openEmbeddedDatabase, openServerDatabase } from '../../src/journal/database.ts';
import { findEvents } from '../../src/journal/event-queries.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { openJournal } from '../../src/journal/open.ts';
import { rawDeliveriesOf } from '../../src/journal/raw-deliveries.ts';
import { reject } from '../../src/journal/rejections.ts';
import { eraseDue } from '../../src/journal/retention.ts';
import type { JournalDatabase } from '../../src/journal/schema.ts';
import { NO_SEALING, type Sealing } from '../../src/journal/sealing.ts';
import { settle } from '../../src/journal/settle.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { DAY_MS } from '../../src/model/retention.ts';
import { createLogger } from '../../src/telemetry.ts';
import { localTemporal } from '../../src/temporal.ts';
import { keyIn } from '../access/support.ts';
import { events, flows, post, startTestIngress, type TestIngress } from '../ingress/support.ts';
import { type OperatorServer, startOperator } from '../operator/fixtures/server.ts';
import { testEvent } from '../support/events.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const SECRET = 'secret-of-the-deliveries';
const NEW_SECRET = 'secret-that-came-after-it';
const HUB_SECRET = 'secret-of-the-hub';
const TEAMS_SECRET = Buffer.from('secret of the teams, in base64').toString('base64');
const TOKEN = 'token-that-is-shown-as-it-is';
const CANARY = 'quetzal-canary';
const PUBLIC_URL = 'https://flows.acme.example';

/** Each item of a payload is an event; an empty payload is one that nobody has asked for. */
const toEvents: Source['toEvents'] = ({ payload }) => {
  const { items } = payload as { readonly items: readonly Record<string, string>[] };
  return items.map(({ id, tenantid, ...data }) => ({
    type: 'thing.seen',
    data,
    ...(id === undefined ? {} : { id }),
    ...(tenantid === undefined ? {} : { tenantid }),
  }));
};
const formEvents: Source['toEvents'] = ({ payload }) => [
  { type: 'thing.seen', data: {}, id: String((payload as { readonly id: string }).id) },
];
const parts = defineSource({ name: 'parts', verify: githubSignature(), toEvents });
const forms = defineSource({
  name: 'forms',
  verify: hmacSignature({ header: 'x-forms-signature', encoding: 'hex' }),
  bodies: ['form'],
  toEvents: formEvents,
});
const hub = defineSource({ name: 'hub', verify: hubspotSignature(), toEvents });
const teams = defineSource({ name: 'teams', verify: teamsSignature(), toEvents });
const bare = defineSource({
  name: 'bare',
  verify: headerToken({ header: 'x-bare-token' }),
  bodyUnprotected: true,
  toEvents,
});
/** Gives all headers to a library, as a verifier of somebody's own may. */
const greedy = defineSource({
  name: 'greedy',
  verify: {
    ...githubSignature(),
    verify: (request, keys) =>
      githubSignature().verify({ ...request, headers: { ...request.headers } }, keys),
  },
  toEvents,
});
const all = [parts, forms, hub, teams, bare, greedy];
const SECRETS = {
  TIDEGATE_SOURCE_PARTS_SECRET: SECRET,
  TIDEGATE_SOURCE_FORMS_SECRET: `${SECRET}-of-forms`,
  TIDEGATE_SOURCE_HUB_SECRET: HUB_SECRET,
  TIDEGATE_SOURCE_TEAMS_SECRET: TEAMS_SECRET,
  TIDEGATE_SOURCE_BARE_SECRET: TOKEN,
  TIDEGATE_SOURCE_GREEDY_SECRET: `${SECRET}-of-greedy`,
};

const hmacOf = (body: string | Uint8Array, secret: string | Buffer) =>
  createHmac('sha256', secret).update(body);
const github = (body: string, secret = SECRET) => ({
  'content-type': 'application/json',
  'x-hub-signature-256': `sha256=${hmacOf(body, secret).digest('hex')}`,
});
const logger = createLogger({ level: 'silent' });

interface Verified {
  readonly verified?: boolean;
  readonly secret?: number;
  readonly cause?: string;
  readonly receivedAt?: string;
  readonly code?: string;
}

const suite = (kind: 'PGlite' | 'PostgreSQL') =>
  function (this: Mocha.Suite): void {
    this.timeout(120_000);
    let server: TestPostgres | undefined;
    let database: JournalDatabase;
    let journal: Journal;
    let ingress: TestIngress;
    const opened: { stop(): Promise<void> }[] = [];

    const open = async (sealing: Sealing): Promise<JournalDatabase> => {
      const made =
        kind === 'PGlite'
          ? await openEmbeddedDatabase(undefined, sealing)
          : await openServerDatabase(await (server as TestPostgres).createDatabase(), {
              sealing,
              logger: undefined,
            });
      opened.push({ stop: () => made.destroy() });
      return made;
    };
    /** The parts of a journal that this is about, with its database in reach. */
    const journalOf = (of: JournalDatabase): Journal =>
      ({
        append: makeAppender(of).append,
        reject: (rejections: Parameters<typeof reject>[1]) => reject(of, rejections),
        findEvents: (tenant: string | undefined, id: string) => findEvents(of, tenant, id),
        rawDeliveries: rawDeliveriesOf(of),
        apiKeys: apiKeysOf(of),
        claimEchoes: async (told: readonly unknown[]) => told.map(() => undefined),
      }) as unknown as Journal;
    const ingressOf = async (of: Journal, keepRaw = true): Promise<TestIngress> => {
      const started = await startTestIngress({
        journal: of,
        sources: bindSources(all, SECRETS),
        keepRaw,
        publicUrl: PUBLIC_URL,
      });
      opened.push(started);
      return started;
    };
    const operatorOf = async (
      environment: Readonly<Record<string, string>> = {},
      sources: readonly Source[] = all,
    ): Promise<OperatorServer> => {
      const started = await startOperator({
        journal,
        flows: { flows: [] } as never,
        connectors: [],
        runs: {} as never,
        access: createAccess({ local: true, keys: journal.apiKeys, logger }),
        logger,
        namespace: 'default',
        verifyAgain: verifyAgain(bindSources(sources, { ...SECRETS, ...environment })),
      });
      opened.push(started);
      return started;
    };

    before(async () => {
      if (kind === 'PostgreSQL') server = await startPostgres();
      database = await open(NO_SEALING);
      journal = journalOf(database);
      ingress = await ingressOf(journal);
    });
    after(async () => {
      for (const each of opened.toReversed()) await each.stop();
      await server?.remove();
    });
    afterEach(async () => {
      for (const name of ['raw_deliveries', 'events', 'deliveries', 'runs', 'settlements']) {
        await sql`delete from ${sql.table(name)}`.execute(database);
      }
    });

    const deliver = async (
      body: string | Uint8Array<ArrayBuffer>,
      headers: Readonly<Record<string, string>>,
      path = 'parts',
      to = ingress,
    ): Promise<readonly (string | undefined)[]> => {
      const answer = await post(`${to.url}/hooks/${path}`, body, headers);
      return (answer.body.results ?? [{ status: answer.body.code }]).map(({ status }) => status);
    };
    /** Sends items to `parts`, signed as GitHub does. */
    const deliverItems = async (...items: readonly object[]) => {
      const body = JSON.stringify({ items });
      assert.ok((await deliver(body, github(body))).every((status) => status === 'accepted'));
    };
    const verify = async (
      id: string,
      {
        operator,
        query = '',
        headers = {},
      }: {
        readonly operator?: OperatorServer;
        readonly query?: string;
        readonly headers?: Readonly<Record<string, string>>;
      } = {},
    ): Promise<Verified> => {
      const asked = operator ?? (await operatorOf());
      const path = `/events/${encodeURIComponent(id)}/verify${query}`;
      return (await asked.call<Verified>(path, { body: {}, headers })).body;
    };
    const withoutTime = ({ receivedAt: _, ...rest }: Verified) => rest;
    /** What is in the table, as text. */
    const stored = async (of = database): Promise<readonly string[]> => {
      const { rows } = await sql<{ text: string }>`
        select raw_deliveries::text || ' ' || request::text as text from raw_deliveries`.execute(
        of,
      );
      return rows.map(({ text }) => text);
    };
    const storedRequest = async () => {
      const { request } = await database
        .selectFrom('raw_deliveries')
        .select('request')
        .executeTakeFirstOrThrow();
      return { ...request, body: Buffer.from(request.body, 'base64') };
    };

    it('keeps a delivery byte for byte, and verifies it', async () => {
      const id = randomUUID();
      const body = `\r\n{ "items":\t[{"id":"${id}", "name":"Zoë \\u0000 \\ud800"}]}\r\n`;
      const sentAt = Date.now();
      assert.deepEqual(await deliver(body, github(body)), ['accepted']);
      const request = await storedRequest();
      assert.deepEqual(request.body, Buffer.from(body));
      assert.equal(request.method, 'POST');
      assert.equal(request.url, undefined);
      const verified = await verify(id);
      assert.deepEqual(withoutTime(verified), { verified: true, secret: 1 });
      const receivedMs = Date.parse(verified.receivedAt ?? '');
      assert.ok(sentAt <= receivedMs && receivedMs <= Date.now());
    });

    it('keeps bytes that are no UTF-8, where they are taken', async () => {
      const id = randomUUID();
      const form = new Uint8Array(
        Buffer.concat([Buffer.from(`id=${id}&name=`), Buffer.of(255, 0, 254)]),
      );
      const signature = hmacOf(form, `${SECRET}-of-forms`).digest('hex');
      const type = 'application/x-www-form-urlencoded';
      const headers = { 'content-type': type, 'x-forms-signature': signature };
      assert.deepEqual(await deliver(form, headers, 'forms'), ['accepted']);
      assert.deepEqual((await storedRequest()).body, Buffer.from(form));
      assert.equal((await verify(id)).verified, true);
      const broken = new Uint8Array(
        Buffer.concat([Buffer.from('{"items":["'), Buffer.of(255), Buffer.from('"]}')]),
      );
      assert.deepEqual(await deliver(broken, github(Buffer.from(broken).toString('latin1'))), [
        'signature_invalid',
      ]);
      const hash = `sha256=${hmacOf(broken, SECRET).digest('hex')}`;
      const json = { 'content-type': 'application/json', 'x-hub-signature-256': hash };
      assert.deepEqual(await deliver(broken, json), ['malformed_json']);
      assert.equal((await stored()).length, 1);
    });

    it('verifies by the clock of then and with the address that was signed', async () => {
      const id = randomUUID();
      const body = JSON.stringify({ items: [{ id }] });
      const at = String(Date.now());
      const signed = `POST${PUBLIC_URL}/hooks/hub?portal=7${body}${at}`;
      const headers = {
        'content-type': 'application/json',
        'x-hubspot-signature-v3': hmacOf(signed, HUB_SECRET).digest('base64'),
        'x-hubspot-request-timestamp': at,
      };
      assert.deepEqual(await deliver(body, headers, 'hub?portal=7'), ['accepted']);
      assert.equal((await storedRequest()).url, `${PUBLIC_URL}/hooks/hub?portal=7`);
      assert.equal((await verify(id)).verified, true);
      // As if the same bytes had come an hour later.
      for (const name of ['raw_deliveries', 'raw_delivery_events']) {
        await sql`
          update ${sql.table(name)} set received_at = received_at + interval '1 hour'`.execute(
          database,
        );
      }
      assert.deepEqual(withoutTime(await verify(id)), {
        verified: false,
        cause: 'timestamp_expired',
      });
    });

    it('does not verify once the secret is gone, and says why', async () => {
      const id = randomUUID();
      await deliverItems({ id });
      const under = async (secrets: string) => {
        const operator = await operatorOf({ TIDEGATE_SOURCE_PARTS_SECRET: secrets });
        return withoutTime(await verify(id, { operator }));
      };
      assert.deepEqual(await under(NEW_SECRET), { verified: false, cause: 'signature_mismatch' });
      assert.deepEqual(await under(`${NEW_SECRET},${SECRET}`), { verified: true, secret: 2 });
      const ended = new Date(Date.now() + 1_000).toISOString();
      const validity = `${NEW_SECRET}@${ended}..,${SECRET}@..${ended}`;
      assert.deepEqual(await under(validity), { verified: true, secret: 2 });
      assert.deepEqual(await under(`${NEW_SECRET}@${ended}..`), {
        verified: false,
        cause: 'no_secret',
      });
      const operator = await operatorOf({}, [forms]);
      assert.deepEqual(withoutTime(await verify(id, { operator })), {
        verified: false,
        cause: 'source_unknown',
      });
    });

    it('does not verify what was changed in the table', async () => {
      const id = randomUUID();
      await deliverItems({ id, amount: '100' });
      const { body, ...request } = await storedRequest();
      const changed = Buffer.from(body.toString().replace('100', '900')).toString('base64');
      await database
        .updateTable('raw_deliveries')
        .set({ request: JSON.stringify({ ...request, body: changed }) })
        .execute();
      assert.deepEqual(withoutTime(await verify(id)), {
        verified: false,
        cause: 'signature_mismatch',
      });
    });

    it('keeps one row for the events of a delivery, and none for a repeat', async () => {
      const [one, two] = [randomUUID(), randomUUID()];
      await deliverItems({ id: one }, { id: two, tenantid: 'acme' });
      const body = JSON.stringify({ items: [{ id: two, tenantid: 'acme' }], attempt: 2 });
      assert.deepEqual(await deliver(body, github(body)), ['duplicate']);
      assert.equal((await stored()).length, 1);
      assert.equal((await verify(one)).verified, true);
      assert.equal((await verify(two)).verified, true);
      assert.equal((await storedRequest()).body.includes('attempt'), false);
    });

    it('keeps no credentials and nothing that the verification did not read', async () => {
      const sent = {
        authorization: 'Bearer credential-1',
        cookie: 'session=credential-2',
        'proxy-authorization': 'Basic credential-3',
        'x-api-key': 'credential-4',
        'x-forwarded-for': 'credential-5',
        'x-trace': 'credential-6',
      };
      const body = JSON.stringify({ items: [{ id: randomUUID() }] });
      assert.deepEqual(await deliver(body, { ...sent, ...github(body) }), ['accepted']);
      const [row = ''] = await stored();
      assert.doesNotMatch(row, /credential/);
      assert.deepEqual(Object.keys((await storedRequest()).headers), ['x-hub-signature-256']);
      await sql`delete from raw_deliveries`.execute(database);

      // A verifier that reads every header.
      const greedily = JSON.stringify({ items: [{ id: randomUUID() }] });
      const signed = github(greedily, `${SECRET}-of-greedy`);
      assert.deepEqual(await deliver(greedily, { ...sent, ...signed }, 'greedy'), ['accepted']);
      const [greedyRow = ''] = await stored();
      assert.doesNotMatch(greedyRow, /credential-[1-5]/);
      assert.match(greedyRow, /credential-6/);
    });

    it('keeps an Authorization that is a signature, and nothing where the body is not signed', async () => {
      const id = randomUUID();
      const body = JSON.stringify({ items: [{ id }] });
      const key = Buffer.from(TEAMS_SECRET, 'base64');
      const authorization = `HMAC ${hmacOf(body, key).digest('base64')}`;
      const type = { 'content-type': 'application/json' };
      assert.deepEqual(await deliver(body, { ...type, authorization }, 'teams'), ['accepted']);
      assert.equal((await verify(id)).verified, true);
      const unsigned = JSON.stringify({ items: [{ id: 'of-bare' }] });
      assert.deepEqual(await deliver(unsigned, { ...type, 'x-bare-token': TOKEN }, 'bare'), [
        'accepted',
      ]);
      assert.equal((await stored()).length, 1);
      assert.equal((await verify('of-bare')).code, 'raw_not_kept');
    });

    it('is off by default', async () => {
      const quiet = await startTestIngress({ journal, sources: bindSources(all, SECRETS) });
      opened.push(quiet);
      const id = randomUUID();
      const body = JSON.stringify({ items: [{ id }] });
      assert.deepEqual(await deliver(body, github(body), 'parts', quiet), ['accepted']);
      assert.deepEqual(await stored(), []);
      assert.equal((await verify(id)).code, 'raw_not_kept');
      assert.equal((await verify('nobody')).code, 'event_not_found');
    });

    it('tells a caller of a tenant about its events only', async () => {
      const [own, other] = [randomUUID(), randomUUID()];
      await deliverItems({ id: own, tenantid: 'acme' }, { id: other });
      const key = await keyIn(journal, { tenant: 'acme', actions: ['operate:read'] });
      const mute = await keyIn(journal, { actions: ['events:write'] });
      const operator = await operatorOf();
      const by = (id: string, { headers }: typeof key, query = '') =>
        verify(id, { operator, headers, query });
      assert.equal((await by(own, key)).verified, true);
      assert.equal((await by(other, key)).code, 'event_not_found');
      assert.equal((await by(other, key, '?tenant=default')).code, 'tenant_forbidden');
      assert.equal((await by(own, mute)).code, 'forbidden');
    });

    it('deletes what is over, and nothing that is not', async () => {
      const [old, young] = [randomUUID(), randomUUID()];
      await deliverItems({ id: old });
      for (const name of ['raw_deliveries', 'raw_delivery_events']) {
        await sql`
          update ${sql.table(name)} set received_at = received_at - interval '31 days'`.execute(
          database,
        );
      }
      await deliverItems({ id: young });
      assert.equal(await journal.rawDeliveries.deleteBefore(new Date(Date.now() - 30 * DAY_MS)), 1);
      assert.equal((await verify(old)).code, 'raw_not_kept');
      assert.equal((await verify(young)).verified, true);
      const { rows } = await sql`select from raw_delivery_events`.execute(database);
      assert.equal(rows.length, 1);
    });

    it('deletes in bounded statements until nothing is left', async () => {
      await sql`
        insert into raw_deliveries (id, source, received_at, request)
        select gen_random_uuid(), 'parts', now() - interval '2 days', '{}'
        from generate_series(1, 1203)`.execute(database);
      assert.equal(await journal.rawDeliveries.deleteBefore(new Date(Date.now() - DAY_MS)), 1_203);
      assert.deepEqual(await stored(), []);
    });

    it('goes with the first of its events that is erased', async () => {
      const [gone, stays] = [randomUUID(), randomUUID()];
      await deliverItems({ id: gone, name: CANARY, tenantid: 'acme' }, { id: stays });
      for (const { run } of await database.selectFrom('runs').select('run').execute()) {
        await settle(database, { run, through: 1, outcome: 'completed' });
      }
      assert.equal((await stored()).length, 1);
      const rule = { tenants: ['acme'], types: ['*'], days: 1 };
      const now = new Date(Date.now() + 2 * DAY_MS);
      const erased = await eraseDue(database, { rules: [rule], rememberDays: 400 }, now);
      assert.equal(erased.events, 1);
      assert.deepEqual(await stored(), []);
      assert.equal((await verify(gone)).code, 'raw_not_kept');
      assert.equal((await verify(stays)).code, 'raw_not_kept');
    });

    it('is sealed where keys are set', async () => {
      const keys = { TIDEGATE_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}` };
      const sealed = await open(journalSealing(readKeyring(keys)));
      const sealedJournal = journalOf(sealed);
      const to = await ingressOf(sealedJournal);
      const ids = [randomUUID(), randomUUID()] as const;
      const body = JSON.stringify({
        items: [
          { id: ids[0], name: CANARY },
          { id: ids[1], tenantid: 'acme' },
        ],
      });
      const headers = github(body);
      assert.deepEqual(await deliver(body, headers, 'parts', to), ['accepted', 'accepted']);
      const [row = ''] = await stored(sealed);
      const signature = headers['x-hub-signature-256'];
      for (const clear of [CANARY, Buffer.from(body).toString('base64').slice(0, 40), signature]) {
        assert.equal(row.includes(clear), false, clear);
      }
      const found = await sealedJournal.rawDeliveries.find({
        tenantid: 'acme',
        source: 'parts',
        id: ids[1],
      });
      assert.deepEqual(Buffer.from(found?.body ?? []), Buffer.from(body));
      assert.deepEqual(found?.headers, { 'x-hub-signature-256': [signature] });
    });
  };

describe('TIDEGATE_RAW_DAYS', function () {
  this.timeout(60_000);
  const token = 'the-token-of-the-tests';
  let journal: Journal;
  before(async () => {
    journal = await openJournal({});
  });
  after(() => journal.close());

  /** Delivers an event to a process that is configured so, and verifies it there. */
  const throughProcess = async (environment: Readonly<Record<string, string>>, id: string) => {
    const { rawDays } = readConfig(environment);
    const running = await startIngress({
      config: { host: '127.0.0.1', port: 0, token, linkSecrets: [], rawDays },
      journal,
      temporal: localTemporal(1),
      catalogue: events,
      flows,
      sources: bindSources([parts], SECRETS),
      connectors: [],
      logger,
    });
    const body = JSON.stringify({ items: [{ id }] });
    await post(`${running.url}/hooks/parts`, body, github(body));
    const answer = await post(`${running.url}/api/v1/events/${id}/verify`, '{}', {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
    });
    await running.stop();
    return answer.body as Verified;
  };

  it('has a process keep deliveries, and without it the next one deletes them', async () => {
    assert.equal((await throughProcess({ TIDEGATE_RAW_DAYS: '1' }, 'one')).verified, true);
    assert.equal((await throughProcess({ TIDEGATE_RAW_DAYS: '1' }, 'one')).verified, true);
    assert.equal((await throughProcess({}, 'two')).code, 'raw_not_kept');
    const one = { tenantid: 'default', source: 'parts', id: 'one' };
    assert.equal(await journal.rawDeliveries.find(one), undefined);
  });

  it('counts deliveries towards what may wait for the journal', async () => {
    const gone = await openEmbeddedDatabase(undefined, NO_SEALING);
    const { append } = makeAppender(gone);
    await gone.destroy();
    const body = new Uint8Array(LIMITS.bodyBytesMax);
    const calls = LIMITS.appendQueueBytesMax / LIMITS.bodyBytesMax + 2;
    const answers = await Promise.allSettled(
      Array.from({ length: calls }, (_, index) => {
        const event = testEvent({ id: `waits-${index}`, data: {} });
        const raw = { source: 'parts', receivedAt: new Date(), method: 'POST', headers: {}, body };
        return append([{ event, status: 'unrouted', deliveries: [], raw }]);
      }),
    );
    const refused = answers.filter(
      (answer) => answer.status === 'rejected' && TidegateError.is(answer.reason, 'backlog_full'),
    );
    // The first call waits for nobody, and those that fit have an envelope each as well.
    assert.equal(refused.length, 2);
  });

  it('is a whole number of days', () => {
    assert.equal(readConfig({ TIDEGATE_RAW_DAYS: '3650' }).rawDays, 3_650);
    for (const days of ['3651', '-1', '1.5', 'for ever']) {
      assert.throws(() => readConfig({ TIDEGATE_RAW_DAYS: days }), { code: 'config_invalid' });
    }
  });
});

describe('Deliveries as they came, in PGlite', suite('PGlite'));
describe('Deliveries as they came, in PostgreSQL', suite('PostgreSQL'));
