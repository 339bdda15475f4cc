import assert from 'node:assert/strict';
import { bindConnectors, type Outbox } from '../../../src/connectors/bind-connectors.ts';
import type { Connector } from '../../../src/connectors/define-connector.ts';
import { problemOf } from '../../../src/connectors/operation-error.ts';
import type { BoundCall, BoundConnector, OperationProblem } from '../../../src/model/connector.ts';
import { TidegateError } from '../../../src/model/error.ts';
import { makeRunId } from '../../../src/model/run.ts';

export type OutboxEntry = Parameters<Outbox['recordOutbox']>[0];

/** An outbox in memory, with the journal's rule: one entry per idempotency key. */
export function memoryOutbox(): Outbox & { readonly entries: readonly OutboxEntry[] } {
  const entries: OutboxEntry[] = [];
  return {
    entries,
    recordOutbox: async (entry) => {
      if (entries.some(({ idempotencyKey }) => idempotencyKey === entry.idempotencyKey))
        return false;
      entries.push(entry);
      return true;
    },
  };
}

export const testCall = (call: Partial<BoundCall> = {}): BoundCall => ({
  idempotencyKey: 'run-1/step-1',
  attempt: 1,
  run: makeRunId({ flow: 'test', tenant: 'acme', key: '17' }),
  tenant: 'acme',
  correlationId: 'story-1',
  signal: new AbortController().signal,
  ...call,
});

/** One connector, bound; live when `env` has its configuration, else its fake. */
export function bindOne(
  connector: Connector,
  env: Readonly<Record<string, string>>,
  outbox: Outbox = memoryOutbox(),
): BoundConnector {
  const [bound] = bindConnectors([connector], { env, journal: outbox, allowFakes: true });
  assert.ok(bound);
  return bound;
}

/** The failure of a call that must fail. */
export async function problemFrom(
  attempt: Promise<unknown>,
): Promise<OperationProblem & { readonly message: string }> {
  const error = await attempt.then(
    () => assert.fail('the call succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(TidegateError.is(error, 'operation_failed'), String(error));
  const problem = problemOf(error);
  assert.ok(problem);
  return { ...problem, message: error.message };
}
