import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import { TidegateError } from '../../src/model/error.ts';
import { bindOne, memoryOutbox, problemFrom, testCall } from './support/bound.ts';

const crm = defineConnector({
  name: 'crmApi',
  config: z.object({
    baseUrl: z.url(),
    token: z.string().min(8),
    pageSize: z.number().int().max(100).default(20),
    sandbox: z.boolean().optional(),
    region: z.enum(['eu', 'us']).optional(),
  }),
  operations: {
    config: {
      effect: 'read',
      timeout: '1s',
      run: async (_: unknown, call) => ({ ...call.config }),
    },
    addNote: {
      effect: 'write',
      timeout: '1s',
      run: async (_: { text: string }) => ({ id: 'live' }),
    },
    removeNote: { effect: 'write', timeout: '1s', run: async (_: { id: string }) => undefined },
  },
  fake: {
    config: () => ({ baseUrl: '', token: '', pageSize: 0 }),
    addNote: ({ text }, call) => {
      if (text === '') throw new TypeError('no text');
      return { id: `fake-${call.idempotencyKey}` };
    },
  },
});
const billing = defineConnector({
  name: 'billing',
  config: z.object({ key: z.string() }),
  operations: { total: { effect: 'read', timeout: '1s', run: async (_: unknown) => 1 } },
});
const clock = defineConnector({
  name: 'clock',
  config: z.object({ zone: z.string().default('UTC') }),
  operations: {
    zone: { effect: 'read', timeout: '1s', run: async (_: unknown, call) => call.config.zone },
  },
});

const ENV = {
  TIDEGATE_CRM_API_BASE_URL: 'https://crm.example.com',
  TIDEGATE_CRM_API_TOKEN: 'long-enough-token',
} as const;

function configError(run: () => unknown): TidegateError {
  try {
    run();
  } catch (error) {
    assert.ok(TidegateError.is(error, 'config_invalid'), String(error));
    return error;
  }
  return assert.fail('the configuration was taken');
}

describe("a connector's configuration", () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidegate-connectors-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };
  const bindAll = (env: Readonly<Record<string, string>>, allowFakes = false) =>
    bindConnectors([crm, billing, clock], { env, journal: memoryOutbox(), allowFakes });

  it('comes from TIDEGATE_<CONNECTOR>_<FIELD>, text turned into what the schema wants', async () => {
    const bound = bindOne(crm, {
      ...ENV,
      TIDEGATE_CRM_API_PAGE_SIZE: '50',
      TIDEGATE_CRM_API_SANDBOX: 'false',
      TIDEGATE_CRM_API_REGION: '',
    });
    assert.equal(bound.mode, 'live');
    assert.deepEqual(await bound.run('config', null, testCall()), {
      baseUrl: 'https://crm.example.com',
      token: 'long-enough-token',
      pageSize: 50,
      sandbox: false,
    });
  });

  it('comes from the file that …_FILE names, without the newline at its end', async () => {
    const { TIDEGATE_CRM_API_TOKEN: _, ...env } = ENV;
    const bound = bindOne(crm, {
      ...env,
      TIDEGATE_CRM_API_TOKEN_FILE: file('token', 'from-a-file\n'),
    });
    const config = (await bound.run('config', null, testCall())) as { readonly token: string };
    assert.equal(config.token, 'from-a-file');
  });

  it('reports every problem of every connector at once, and no value', () => {
    const error = configError(() =>
      bindAll({
        TIDEGATE_CRM_API_BASE_URL: 'crm-without-scheme',
        TIDEGATE_CRM_API_TOKEN: 'short',
        TIDEGATE_CRM_API_PAGE_SIZE: 'fifty',
        TIDEGATE_CRM_API_SANDBOX: 'perhaps',
        TIDEGATE_CRM_API_REGION: 'moon',
      }),
    );
    const { problems } = error.details as { problems: readonly { variable: string }[] };
    assert.deepEqual(problems.map(({ variable }) => variable).sort(), [
      'TIDEGATE_BILLING_KEY',
      'TIDEGATE_CRM_API_BASE_URL',
      'TIDEGATE_CRM_API_PAGE_SIZE',
      'TIDEGATE_CRM_API_REGION',
      'TIDEGATE_CRM_API_SANDBOX',
      'TIDEGATE_CRM_API_TOKEN',
    ]);
    assert.doesNotMatch(error.message, /without-scheme|short|fifty|perhaps|moon/);
    assert.match(error.message, /TIDEGATE_BILLING_KEY is missing/);
  });

  it('is invalid when a part of what is required is set, also where fakes are allowed', () => {
    const error = configError(() => bindOne(crm, { TIDEGATE_CRM_API_TOKEN: 'long-enough-token' }));
    assert.match(error.message, /TIDEGATE_CRM_API_BASE_URL is missing/);
    assert.doesNotMatch(error.message, /TOKEN|long-enough/);
  });

  it("keeps a value out of a message that the schema's author put it in", () => {
    const chatty = defineConnector({
      name: 'chatty',
      config: z.object({
        token: z.string().refine((text) => text.startsWith('ok'), {
          error: ({ input }) => `${String(input)} does not begin with ok`,
        }),
      }),
      operations: { go: { effect: 'write', timeout: '1s', run: async () => undefined } },
    });
    const error = configError(() => bindOne(chatty, { TIDEGATE_CHATTY_TOKEN: 'hunter2' }));
    assert.match(error.message, /TIDEGATE_CHATTY_TOKEN is not valid: custom/);
    assert.doesNotMatch(error.message, /hunter2/);
  });

  it('refuses files that are missing, empty, too large, or named beside a value', () => {
    const withFile = (path: string) =>
      configError(() =>
        bindOne(crm, {
          TIDEGATE_CRM_API_BASE_URL: ENV.TIDEGATE_CRM_API_BASE_URL,
          TIDEGATE_CRM_API_TOKEN_FILE: path,
        }),
      ).message;
    assert.match(
      withFile(join(directory, 'none')),
      /TOKEN_FILE names a file that cannot be read \(ENOENT\)/,
    );
    assert.match(withFile(file('empty', '\n')), /TOKEN_FILE names an empty file/);
    assert.match(
      withFile(file('large', 'x'.repeat(70_000))),
      /TOKEN_FILE names a file of more than/,
    );
    assert.match(withFile(directory), /TOKEN_FILE names something that is not a file/);
    const both = configError(() =>
      bindOne(crm, { ...ENV, TIDEGATE_CRM_API_TOKEN_FILE: file('both', 'another-token') }),
    );
    assert.match(both.message, /TOKEN is set together with TIDEGATE_CRM_API_TOKEN_FILE/);
    assert.doesNotMatch(both.message, /another-token|long-enough/);
  });

  for (const [baseUrl, told] of [
    ['ftp://crm.example.com', /must begin with https/],
    ['https://user:hush-hush@crm.example.com', /no user and password/],
    ['https://crm.example.com/?key=hush-hush', /no \? or #/],
  ] as const) {
    it(`refuses the base URL ${baseUrl}`, () => {
      const error = configError(() => bindOne(crm, { ...ENV, TIDEGATE_CRM_API_BASE_URL: baseUrl }));
      assert.match(error.message, told);
      assert.doesNotMatch(error.message, /hush/);
    });
  }

  it('is ready with nothing set when nothing is required', async () => {
    const bound = bindOne(clock, {});
    assert.equal(bound.mode, 'live');
    assert.equal(await bound.run('zone', null, testCall()), 'UTC');
  });

  it('refuses two connectors of one name, or with one variable between them', () => {
    const crm2 = defineConnector({
      name: 'crm',
      config: z.object({ apiToken: z.string() }),
      operations: { go: { effect: 'write', timeout: '1s', run: async () => undefined } },
    });
    const options = { env: ENV, journal: memoryOutbox(), allowFakes: true };
    assert.throws(
      () => bindConnectors([clock, clock], options),
      /two connectors have the name clock/,
    );
    assert.throws(
      () => bindConnectors([crm, crm2], options),
      /crmApi\.token and crm\.apiToken would both come from TIDEGATE_CRM_API_TOKEN/,
    );
  });
});

describe('a connector without credentials', () => {
  it('runs against its fake where that is allowed, and only there', () => {
    assert.equal(bindOne(crm, {}).mode, 'fake');
    const error = configError(() =>
      bindConnectors([crm], { env: {}, journal: memoryOutbox(), allowFakes: false }),
    );
    assert.match(error.message, /TIDEGATE_CRM_API_BASE_URL is missing/);
    assert.match(error.message, /TIDEGATE_CRM_API_TOKEN is missing/);
  });

  it('keeps a write in the outbox once per idempotency key, and answers alike both times', async () => {
    const outbox = memoryOutbox();
    const bound = bindOne(crm, {}, outbox);
    const call = testCall();
    const answers = [
      await bound.run('addNote', { text: 'hi' }, call),
      await bound.run('addNote', { text: 'hi' }, { ...call, attempt: 2 }),
    ];
    assert.deepEqual(answers, [{ id: 'fake-run-1/step-1' }, { id: 'fake-run-1/step-1' }]);
    await bound.run('addNote', { text: 'hi' }, testCall({ idempotencyKey: 'another' }));
    assert.deepEqual(outbox.entries, [
      {
        idempotencyKey: 'run-1/step-1',
        connector: 'crmApi',
        operation: 'addNote',
        run: call.run,
        input: { text: 'hi' },
      },
      {
        idempotencyKey: 'another',
        connector: 'crmApi',
        operation: 'addNote',
        run: call.run,
        input: { text: 'hi' },
      },
    ]);
  });

  it('keeps a write that has no fake of its own, and answers nothing', async () => {
    const outbox = memoryOutbox();
    assert.equal(
      await bindOne(crm, {}, outbox).run('removeNote', { id: '1' }, testCall()),
      undefined,
    );
    assert.equal(outbox.entries.length, 1);
  });

  it('keeps no read, and no write that its fake refused', async () => {
    const outbox = memoryOutbox();
    const bound = bindOne(crm, {}, outbox);
    await bound.run('config', null, testCall());
    const { errorClass, message } = await problemFrom(
      bound.run('addNote', { text: '' }, testCall()),
    );
    assert.equal(errorClass, 'fatal');
    assert.equal(message, 'TypeError: no text');
    assert.equal(outbox.entries.length, 0);
  });

  it('needs a fake for every read, and says what to set', () => {
    const error = configError(() => bindOne(billing, {}));
    assert.match(
      error.message,
      /TIDEGATE_BILLING_KEY is missing, and the read billing\.total has no fake .* add fake\.total/,
    );
  });
});

describe('a bound connector', () => {
  const unruly = defineConnector({
    name: 'unruly',
    config: z.object({ token: z.string() }),
    retry: { attempts: 3 },
    operations: {
      leak: {
        effect: 'read',
        timeout: '1s',
        run: async (_: unknown, call) => {
          throw new Error(`cannot use ${call.config.token}: Authorization: Bearer abcdef123`);
        },
      },
      deaf: { effect: 'write', timeout: '1s', run: () => new Promise<string>(() => undefined) },
      vendor: {
        effect: 'write',
        timeout: '1s',
        run: async () => {
          throw Object.assign(new Error('quota'), { vendorCode: 42 });
        },
      },
    },
    fake: { leak: () => assert.fail('not faked') },
    classify: (error) =>
      (error as { vendorCode?: number }).vendorCode === 42
        ? { errorClass: 'throttled', retryAfterMs: 9_000 }
        : undefined,
  });
  const bound = bindOne(unruly, { TIDEGATE_UNRULY_TOKEN: 'hunter2-token' });

  it('throws without the secrets that an error repeats', async () => {
    const { message } = await problemFrom(bound.run('leak', null, testCall()));
    assert.equal(message, 'cannot use [redacted]: Authorization: Bearer [redacted]');
  });

  it('leaves an operation behind that does not look at its signal', async () => {
    const controller = new AbortController();
    const running = problemFrom(bound.run('deaf', null, testCall({ signal: controller.signal })));
    controller.abort(new DOMException('over', 'AbortError'));
    assert.equal((await running).errorClass, 'transient');
  });

  it('does not begin when its signal is aborted already', async () => {
    const signal = AbortSignal.abort(new DOMException('over', 'AbortError'));
    const { message } = await problemFrom(bound.run('leak', null, testCall({ signal })));
    assert.equal(message, 'AbortError: over');
  });

  it("takes the vendor's class and delay", async () => {
    const { errorClass, retryAfterMs } = await problemFrom(bound.run('vendor', null, testCall()));
    assert.deepEqual([errorClass, retryAfterMs], ['throttled', 9_000]);
  });

  it('names its operations when it is asked for another', async () => {
    for (const name of ['fly', 'toString', '__proto__']) {
      await assert.rejects(bound.run(name, null, testCall()), { code: 'operation_unknown' });
    }
  });
});
