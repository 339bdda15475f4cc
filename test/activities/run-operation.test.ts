import assert from 'node:assert/strict';
import {
  ApplicationFailure,
  ApplicationFailureCategory,
  CancelledFailure,
} from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { z } from 'zod';
import { operationActivities } from '../../src/activities/run-operation.ts';
import { bindConnectors } from '../../src/connectors/bind-connectors.ts';
import { defineConnector } from '../../src/connectors/define-connector.ts';
import { operationError } from '../../src/connectors/operation-error.ts';
import type { Operation } from '../../src/model/connector.ts';
import type { OperationCall } from '../../src/model/protocol.ts';
import { makeRunId } from '../../src/model/run.ts';
import { until } from '../support/wait.ts';

const NOW = 1_800_000_000_000;
const RUN = makeRunId({ flow: 'test', tenant: 'acme', key: '17' });
const CALL: OperationCall = {
  connector: 'crm',
  operation: 'go',
  input: { private: 'of-the-customer' },
  idempotencyKey: 'run-1/step-1',
  run: RUN,
  tenant: 'acme',
  correlationId: 'story-1',
};

type Run = Operation<unknown, unknown, unknown>['run'];
type Info = ConstructorParameters<typeof MockActivityEnvironment>[0];

/** One attempt of an operation, in an activity environment that the test can look into. */
function attemptOf(
  run: Run,
  {
    info = {},
    options = {},
    now = NOW,
    activity = 'crm.go',
  }: {
    readonly info?: Info;
    readonly options?: Partial<Operation<unknown, unknown, unknown>>;
    readonly now?: number;
    readonly activity?: string;
  } = {},
) {
  const connector = defineConnector({
    name: 'crm',
    config: z.object({}),
    retry: { attempts: 3, initial: '1s', max: '8s', within: '10m' },
    operations: { go: { effect: 'write', timeout: '5s', ...options, run } },
  });
  const unused = async () => assert.fail('no fake here');
  const bound = bindConnectors([connector], {
    env: {},
    journal: { recordOutbox: unused },
    allowFakes: false,
  });
  const lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];
  const log = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  const activities = operationActivities(bound, {
    now: () => now,
    random: () => 0.5,
    logger: { info: log('info'), warn: log('warn') },
  });
  const environment = new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
  const heartbeats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  const body = activities[activity];
  assert.ok(body);
  const result = environment.run(body, CALL) as Promise<unknown>;
  const failure = result.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { result, failure, environment, heartbeats, lines, names: Object.keys(activities) };
}

async function failed(attempt: ReturnType<typeof attemptOf>): Promise<ApplicationFailure> {
  const error = await attempt.failure;
  assert.ok(error instanceof ApplicationFailure, String(error));
  return error;
}

const failing =
  (error: unknown): Run =>
  async () => {
    throw error;
  };
const TRANSIENT = failing(operationError('transient', 'POST /notes answered 503', { status: 503 }));
const ledger = (ended: number, free: number, startedAtMs = NOW) => ({ startedAtMs, ended, free });

describe('the activity of an operation', () => {
  it('is named by its connector, beside one for every unknown name', async () => {
    const { names, result } = attemptOf(async () => 1);
    assert.deepEqual(names.sort(), ['crm.go', 'default']);
    assert.equal(await result, 1);
  });

  it('gives the operation its input, its key and its attempt, and returns JSON', async () => {
    const { result } = attemptOf(
      async (input, { idempotencyKey, attempt, tenant, correlationId }) => ({
        input,
        idempotencyKey,
        attempt,
        tenant,
        correlationId,
        left: undefined,
      }),
      { info: { attempt: 2, heartbeatDetails: ledger(1, 0) } },
    );
    assert.deepEqual(await result, {
      input: CALL.input,
      idempotencyKey: 'run-1/step-1',
      attempt: 2,
      tenant: 'acme',
      correlationId: 'story-1',
    });
  });

  it('returns null for an operation that returns nothing', async () => {
    assert.equal(await attemptOf(async () => undefined).result, null);
  });

  it('is tried again after a transient failure, quietly, with its class and details', async () => {
    const attempt = attemptOf(TRANSIENT);
    const { type, nonRetryable, nextRetryDelay, category, details, message } =
      await failed(attempt);
    assert.deepEqual([type, nonRetryable, nextRetryDelay], ['transient', false, 500]);
    assert.equal(category, ApplicationFailureCategory.BENIGN);
    assert.equal(message, 'crm.go: POST /notes answered 503');
    assert.deepEqual(details, [
      { connector: 'crm', operation: 'go', attempts: 1, idempotencyKey: 'run-1/step-1' },
    ]);
    assert.deepEqual(attempt.heartbeats, [ledger(1, 0)]);
    assert.deepEqual(attempt.lines, [
      {
        level: 'info',
        fields: {
          connector: 'crm',
          operation: 'go',
          run: RUN,
          tenant: 'acme',
          attempt: 1,
          errorClass: 'transient',
          status: 503,
          retryInMs: 500,
        },
        message: 'operation failed, is tried again',
      },
    ]);
  });

  it('is final when its attempts are used up', async () => {
    const attempt = attemptOf(TRANSIENT, { info: { attempt: 3, heartbeatDetails: ledger(2, 0) } });
    const { type, nonRetryable, message, details } = await failed(attempt);
    assert.deepEqual([type, nonRetryable], ['transient', true]);
    assert.equal(message, 'crm.go: POST /notes answered 503 (all 3 attempts are used up)');
    assert.equal((details?.[0] as { readonly attempts?: number } | undefined)?.attempts, 3);
    assert.equal(attempt.lines[0]?.level, 'warn');
  });

  it('does not count attempts that were throttled', async () => {
    const info = { attempt: 40, heartbeatDetails: ledger(39, 38) };
    const { nonRetryable, nextRetryDelay } = await failed(attemptOf(TRANSIENT, { info }));
    assert.deepEqual([nonRetryable, nextRetryDelay], [false, 1_000]);
  });

  it('waits as long as Retry-After says when it is throttled', async () => {
    const throttled = operationError('throttled', '429', { retryAfterMs: 7_000 });
    const attempt = attemptOf(failing(throttled), {
      info: { attempt: 3, heartbeatDetails: ledger(2, 0) },
    });
    const { type, nonRetryable, nextRetryDelay } = await failed(attempt);
    assert.deepEqual([type, nonRetryable, nextRetryDelay], ['throttled', false, 7_500]);
    assert.deepEqual(attempt.heartbeats.at(-1), ledger(3, 1));
  });

  it('is final when its time is used up, counted from its first attempt', async () => {
    const info = {
      attempt: 2,
      heartbeatDetails: ledger(1, 0, NOW - 599_900),
      currentAttemptScheduledTimestampMs: NOW,
    };
    const { nonRetryable, message } = await failed(attemptOf(TRANSIENT, { info }));
    assert.equal(nonRetryable, true);
    assert.match(message, /the next attempt would be in 1s, after the 10m it may take/);
  });

  it('has its time by the clock of Temporal, whatever the workers of its attempts think it is', async () => {
    const info = {
      attempt: 2,
      heartbeatDetails: ledger(1, 0, NOW),
      currentAttemptScheduledTimestampMs: NOW + 1_000,
    };
    const hourAhead = attemptOf(TRANSIENT, { info, now: NOW + 3_600_000 });
    assert.equal((await failed(hourAhead)).nonRetryable, false);
  });

  it('counts its time from when it was scheduled when its first worker died without a word', async () => {
    const info = {
      attempt: 2,
      heartbeatDetails: undefined,
      scheduledTimestampMs: NOW - 3_600_000,
      currentAttemptScheduledTimestampMs: NOW,
    };
    assert.equal((await failed(attemptOf(TRANSIENT, { info }))).nonRetryable, true);
  });

  it('has its whole time when it waited long for a worker', async () => {
    const info = { attempt: 1, scheduledTimestampMs: NOW - 86_400_000 };
    assert.equal((await failed(attemptOf(TRANSIENT, { info }))).nonRetryable, false);
  });

  for (const errorClass of ['persistent', 'fatal', 'unknown'] as const) {
    it(`is final at once when it is ${errorClass}`, async () => {
      const failure = await failed(attemptOf(failing(operationError(errorClass, 'no'))));
      assert.deepEqual([failure.type, failure.nonRetryable], [errorClass, true]);
    });
  }

  it('is fatal when its result is not JSON', async () => {
    const { type, message } = await failed(attemptOf(async () => ({ at: new Date(0) })));
    assert.equal(type, 'fatal');
    assert.match(message, /the result\.at is a Date/);
  });

  it('ends at its timeout, also when the operation does not look at its signal', async () => {
    let signal: AbortSignal | undefined;
    const deaf: Run = (_, call) => {
      signal = call.signal;
      return new Promise(() => undefined);
    };
    const { type, message } = await failed(attemptOf(deaf, { options: { timeout: '50ms' } }));
    assert.equal(type, 'transient');
    assert.equal(message, 'crm.go gave no answer within 50ms');
    assert.equal(signal?.aborted, true);
  });

  it('is unknown at its timeout when it is a write that cannot be repeated', async () => {
    const options = { timeout: '50ms', repeatable: false } as const;
    const failure = await failed(attemptOf(() => new Promise(() => undefined), { options }));
    assert.deepEqual([failure.type, failure.nonRetryable], ['unknown', true]);
  });

  it('never logs or tells its input', async () => {
    const attempt = attemptOf(TRANSIENT);
    const failure = await failed(attempt);
    const told = JSON.stringify([
      attempt.lines,
      attempt.heartbeats,
      failure.message,
      failure.details,
    ]);
    assert.doesNotMatch(told, /of-the-customer/);
  });
});

describe('an operation whose worker died', () => {
  let calls = 0;
  const counting: Run = async () => {
    calls++;
    return 'done';
  };
  beforeEach(() => {
    calls = 0;
  });

  it('is tried again when it may be repeated', async () => {
    const { result } = attemptOf(counting, {
      info: { attempt: 2, heartbeatDetails: ledger(0, 0) },
    });
    assert.equal(await result, 'done');
  });

  for (const [what, heartbeatDetails] of [
    ['had said that it was there', ledger(0, 0)],
    ['had said nothing yet', undefined],
    ['left something unreadable', { ended: 'two' }],
  ] as const) {
    it(`is not repeated, and unknown, when it must not be; the worker ${what}`, async () => {
      const { type, nonRetryable } = await failed(
        attemptOf(counting, {
          info: { attempt: 2, heartbeatDetails },
          options: { repeatable: false },
        }),
      );
      assert.deepEqual([type, nonRetryable, calls], ['unknown', true, 0]);
    });
  }

  it('is repeated when every earlier attempt reported that nothing was done', async () => {
    const info = { attempt: 3, heartbeatDetails: ledger(2, 1) };
    const { result } = attemptOf(counting, { info, options: { repeatable: false } });
    assert.equal(await result, 'done');
  });

  it('is given up when it takes a worker with it each time', async () => {
    const info = { attempt: 4, heartbeatDetails: ledger(0, 0) };
    const { type, nonRetryable } = await failed(attemptOf(counting, { info }));
    assert.deepEqual([type, nonRetryable, calls], ['transient', true, 0]);
  });

  it('begins anew when an operator has reset it', async () => {
    const info = { attempt: 1, heartbeatDetails: ledger(3, 1, NOW - 3_600_000) };
    const attempt = attemptOf(TRANSIENT, { info });
    assert.equal((await failed(attempt)).nonRetryable, false);
    assert.deepEqual(attempt.heartbeats.at(-1), ledger(1, 0));
  });

  it('begins anew when an operator has reset it, also when its worker died since', async () => {
    const info = {
      attempt: 2,
      heartbeatDetails: ledger(3, 1, NOW - 3_600_000),
      scheduledTimestampMs: NOW - 3_600_000,
      currentAttemptScheduledTimestampMs: NOW,
    };
    assert.equal((await failed(attemptOf(TRANSIENT, { info }))).nonRetryable, false);
  });
});

describe('an operation that is told to stop', () => {
  function stopped(
    reason: 'CANCELLED' | 'WORKER_SHUTDOWN',
    options: Partial<Operation<unknown, unknown, unknown>> = {},
  ) {
    const signals: AbortSignal[] = [];
    const attempt = attemptOf(
      (_, { signal }) => {
        signals.push(signal);
        return new Promise(() => undefined);
      },
      { options },
    );
    return {
      ...attempt,
      stop: async () => {
        await until('the operation to begin', () => signals.length === 1);
        attempt.environment.cancel(reason);
        await attempt.failure;
        assert.equal(signals[0]?.aborted, true);
      },
    };
  }

  it('is cancelled with its run', async () => {
    const attempt = stopped('CANCELLED');
    await attempt.stop();
    assert.ok((await attempt.failure) instanceof CancelledFailure);
    assert.deepEqual(attempt.lines, []);
  });

  it('is handed to another worker when this one stops, and the attempt does not count', async () => {
    const attempt = stopped('WORKER_SHUTDOWN');
    await attempt.stop();
    const { type, nonRetryable, nextRetryDelay } = await failed(attempt);
    assert.deepEqual([type, nonRetryable, nextRetryDelay], ['transient', false, 1]);
    assert.deepEqual(attempt.heartbeats.at(-1), ledger(1, 1));
  });

  it('is unknown when this worker stops within a write that cannot be repeated', async () => {
    const attempt = stopped('WORKER_SHUTDOWN', { repeatable: false });
    await attempt.stop();
    assert.deepEqual((await failed(attempt)).type, 'unknown');
  });
});

describe('an activity that no worker here knows', () => {
  it('is tried again for a while, and then fails with what to do', async () => {
    const unknown = (startedAtMs: number) =>
      failed(
        attemptOf(async () => 1, {
          activity: 'default',
          info: {
            activityType: 'crm.fly',
            attempt: 2,
            heartbeatDetails: ledger(1, 0, startedAtMs),
            currentAttemptScheduledTimestampMs: NOW,
          },
        }),
      );
    assert.equal((await unknown(NOW)).nonRetryable, false);
    const given = await unknown(NOW - 120_000);
    assert.equal(given.nonRetryable, true);
    assert.match(given.message, /this worker has no operation crm\.fly: export its connector/);
  });
});
