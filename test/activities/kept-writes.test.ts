import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { z } from 'zod';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import { operationError } from '../../src/connectors/operation-error.ts';
import type { ConnectorWrite } from '../../src/journal/journal.ts';
import type { Operation } from '../../src/model/connector.ts';
import { TidegateError } from '../../src/model/error.ts';
import { LIMITS } from '../../src/model/limits.ts';
import { makeRunId } from '../../src/model/run.ts';
import { silent } from '../support/engine.ts';

const RUN = makeRunId({ flow: 'sync', tenant: 'acme', key: '7' });

interface Update {
  readonly id: string;
  readonly name: string;
}
type Options = Partial<Operation<unknown, Update, unknown>>;

/** One attempt, with what happened in its order. */
async function attemptOf(
  options: Options,
  { attempt = 1, isFake = false, away = false, heartbeatDetails = undefined as unknown } = {},
) {
  const happened: (string | ConnectorWrite)[] = [];
  const connector = defineConnector({
    name: 'crm',
    config: z.object(isFake ? { token: z.string() } : {}),
    operations: {
      update: {
        effect: 'write',
        timeout: '5s',
        writes: ({ id, name }: Update) => ({ object: `contact/${id}`, fields: { name } }),
        run: async (_: Update) => void happened.push('called'),
        ...options,
      },
    },
  });
  const bound = bindConnectors([connector], {
    env: {},
    journal: { recordOutbox: async () => true },
    allowFakes: true,
  });
  const { 'crm.update': activity } = operationActivities(bound, {
    now: () => 0,
    random: () => 0,
    logger: silent,
    journal: {
      recordWrite: async (write) => {
        if (away) throw new TidegateError('journal_unavailable', 'it is away');
        happened.push(write);
      },
      withdrawWrite: async (key) => void happened.push(`withdrawn ${key}`),
    },
  });
  assert.ok(activity);
  const info = { attempt, ...(heartbeatDetails ? { heartbeatDetails } : {}) };
  const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
  const call = {
    connector: 'crm',
    operation: 'update',
    input: { id: '42', name: 'Ada' },
    idempotencyKey: 'key-1',
    run: RUN,
    tenant: 'acme',
    correlationId: 'story-1',
  };
  const failure = await environment.run(activity, call).then(
    () => undefined,
    (error: unknown) => error as { readonly type: string; readonly message: string },
  );
  return { happened, failure };
}

const WRITE: ConnectorWrite = {
  idempotencyKey: 'key-1',
  tenant: 'acme',
  run: RUN,
  operation: 'crm.update',
  change: { system: 'crm', object: 'contact/42', fields: { name: 'Ada' } },
  echoMs: LIMITS.echoMs,
};
const failing = (error: unknown): Options => ({
  run: async () => {
    throw error;
  },
});

describe('what an operation writes', () => {
  it('is kept before the call goes out', async () => {
    const { happened } = await attemptOf({});
    assert.deepEqual(happened, [WRITE, 'called']);
  });

  it('is of the system and for the time that the operation says', async () => {
    const { happened } = await attemptOf({
      echoWithin: '2m',
      writes: () => ({ system: 'salesforce', object: 'c', fields: {} }),
    });
    assert.deepEqual(happened, [
      {
        ...WRITE,
        change: { system: 'salesforce', object: 'c', fields: {} },
        echoMs: 120_000,
      },
      'called',
    ]);
  });

  it('is not kept when there is nothing that comes back', async () => {
    assert.deepEqual((await attemptOf({ writes: () => undefined })).happened, ['called']);
    assert.deepEqual((await attemptOf({}, { isFake: true })).happened, []);
  });

  it('is forgotten when the first attempt was refused for sure', async () => {
    for (const errorClass of ['fatal', 'persistent'] as const) {
      const { happened } = await attemptOf(failing(operationError(errorClass, 'no')));
      assert.deepEqual(happened, [WRITE, 'withdrawn key-1']);
    }
  });

  it('stays where it may have happened all the same', async () => {
    const doubtful = [
      operationError('fatal', 'a bug', { mayHaveHappened: true }),
      operationError('transient', 'away'),
      operationError('unknown', 'lost', { mayHaveHappened: true }),
      new TypeError('a bug after the call'),
    ];
    for (const error of doubtful) {
      assert.deepEqual((await attemptOf(failing(error))).happened, [WRITE], String(error));
    }
    const later = await attemptOf(failing(operationError('fatal', 'no')), {
      attempt: 2,
      heartbeatDetails: { startedAtMs: 0, ended: 1, free: 0 },
    });
    assert.deepEqual(later.happened, [WRITE], 'an earlier attempt may have happened');
    const throttled = await attemptOf(failing(operationError('fatal', 'no')), {
      attempt: 2,
      heartbeatDetails: { startedAtMs: 0, ended: 1, free: 1 },
    });
    assert.deepEqual(throttled.happened, [WRITE, 'withdrawn key-1'], 'it was the first to be made');
  });

  it('holds the call back while the journal does not take it', async () => {
    const { happened, failure } = await attemptOf({}, { away: true });
    assert.deepEqual(happened, []);
    assert.equal(failure?.type, 'transient');
  });

  it('fails the call when the connector says it wrong', async () => {
    const wrong: Options[] = [
      { writes: () => ({ object: '', fields: {} }) },
      { writes: () => ({ object: 'c' }) as never },
      {
        writes: () => {
          throw new Error('a bug');
        },
      },
    ];
    for (const options of wrong) {
      const { happened, failure } = await attemptOf(options);
      assert.ok(!happened.includes('called'));
      assert.equal(failure?.type, 'fatal');
      assert.match(failure?.message ?? '', /`writes`.*Mend the connector/);
    }
  });
});
