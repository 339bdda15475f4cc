import type { BoundCall, BoundConnector, Operation } from '../model/connector.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';
import { callFetch } from './call-fetch.ts';
import {
  type ConfigProblem,
  configVariable,
  type Environment,
  readConnectorConfig,
} from './connector-config.ts';
import type { Connector, FakeOperation } from './define-connector.ts';
import { judge } from './error-class.ts';
import type { Fetch } from './http-request.ts';
import { operationError } from './operation-error.ts';
import { withoutSecrets } from './redact.ts';
import { wireKey } from './wire-key.ts';

/** Where the writes of fakes are kept: the journal's outbox. */
export interface Outbox {
  /** False when this idempotency key was kept before. */
  recordOutbox(entry: {
    readonly idempotencyKey: string;
    readonly connector: string;
    readonly operation: string;
    readonly run: RunId;
    readonly input: unknown;
  }): Promise<boolean>;
}

export interface BindOptions {
  readonly env: Environment;
  readonly journal: Outbox;
  /** Whether a connector without credentials runs against its fake, as under `tidegate dev`. */
  readonly allowFakes: boolean;
  /** @default the global fetch */
  readonly fetch?: Fetch;
}

/**
 * Connectors with their configuration, ready to run.
 *
 * @throws TidegateError `config_invalid` with every problem of every connector, naming variables and
 * never their values; `connector_invalid` when two connectors share a name or a variable.
 */
export function bindConnectors(
  connectors: readonly Connector[],
  options: BindOptions,
): readonly BoundConnector[] {
  checkDistinct(connectors);
  const problems: ConfigProblem[] = [];
  const bound: BoundConnector[] = [];
  for (const connector of connectors) {
    const read = readConnectorConfig(connector, options.env);
    switch (read.status) {
      case 'ready':
        bound.push(bindLive(connector, read, options));
        break;
      case 'invalid':
        problems.push(...read.problems);
        break;
      case 'unset':
        problems.push(
          ...(options.allowFakes
            ? missingFakes(connector, read.required)
            : read.required.map((variable) => ({ variable, problem: 'is missing' }))),
        );
        bound.push(bindFake(connector, options.journal));
        break;
      default:
        read satisfies never;
    }
  }
  if (problems.length > 0) throw configInvalid(problems);
  return bound;
}

type RunOperation = (
  operation: { readonly name: string; readonly options: Operation<never, never, unknown> },
  input: never,
  call: BoundCall,
) => Promise<unknown>;

function bindLive(
  connector: Connector,
  { config, secrets }: { readonly config: unknown; readonly secrets: readonly string[] },
  { fetch = globalThis.fetch }: BindOptions,
): BoundConnector {
  return bind(
    connector,
    { mode: 'live', operations: connector.operations, secrets },
    ({ options }, input, call) => {
      const idempotencyKey = wireKey(call.idempotencyKey);
      const { attempt, tenant, correlationId, signal } = call;
      const context = { config, idempotencyKey, attempt, tenant, correlationId, signal };
      const request = { fetch, connector: connector.name, config, idempotencyKey, signal, secrets };
      // The configuration is of the schema's type: defineConnector tied the two together.
      return options.run(input, { ...context, fetch: callFetch(request) } as never);
    },
  );
}

function bindFake(connector: Connector, journal: Outbox): BoundConnector {
  const operations = Object.fromEntries(
    // The outbox knows an idempotency key again, whatever the outside system does.
    Object.entries(connector.operations).map(
      ([name, options]) => [name, { ...options, repeatable: true }] as const,
    ),
  );
  return bind(
    connector,
    { mode: 'fake', operations, secrets: [] },
    async ({ name, options }, input, call) => {
      // The fake first: what it refuses is not sent.
      const result = await fakeOf(connector, name)?.(input, call);
      if (options.effect === 'write') {
        const { idempotencyKey, run } = call;
        await journal.recordOutbox({
          idempotencyKey,
          connector: connector.name,
          operation: name,
          run,
          input,
        });
      }
      return result;
    },
  );
}

const fakeOf = (
  { fake }: Connector,
  operation: string,
): FakeOperation<never, unknown> | undefined =>
  fake !== undefined && Object.hasOwn(fake, operation) ? fake[operation] : undefined;

function bind(
  { name, retry = {}, rateLimit, classify }: Connector,
  bound: {
    readonly mode: BoundConnector['mode'];
    readonly operations: Connector['operations'];
    readonly secrets: readonly string[];
  },
  runOperation: RunOperation,
): BoundConnector {
  const operation = (wanted: string) =>
    Object.hasOwn(bound.operations, wanted) ? bound.operations[wanted] : undefined;
  return {
    name,
    mode: bound.mode,
    operations: Object.keys(bound.operations),
    retry,
    ...(rateLimit === undefined ? {} : { rateLimit }),
    operation,
    run: async (wanted, input, call) => {
      const options = operation(wanted);
      if (options === undefined) {
        throw new TidegateError(
          'operation_unknown',
          `connector ${name} has no operation ${wanted}; it has ${Object.keys(bound.operations).join(', ')}`,
        );
      }
      try {
        return await untilAborted(call.signal, () =>
          runOperation({ name: wanted, options }, input as never, call),
        );
      } catch (error) {
        const classifiers = [options.classify, classify];
        const problem = judge(error, { operation: options, classifiers, nowMs: Date.now() });
        const message = withoutSecrets(describe(error), bound.secrets);
        throw operationError(
          problem.errorClass,
          message.slice(0, LIMITS.operationErrorCharactersMax),
          problem,
        );
      }
    },
  };
}

/** An operation that does not look at its signal is left behind: its attempt is over all the same. */
async function untilAborted<Result>(
  signal: AbortSignal,
  run: () => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([run(), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A bug's kind is half of what its message says: `TypeError: … is not a function`. */
function describe(error: unknown): string {
  const plain = TidegateError.is(error) || !(error instanceof Error) || error.name === 'Error';
  return plain ? messageOf(error) : `${error.name}: ${messageOf(error)}`;
}

function missingFakes(connector: Connector, required: readonly string[]): readonly ConfigProblem[] {
  return Object.entries(connector.operations)
    .filter(([name, { effect }]) => effect === 'read' && fakeOf(connector, name) === undefined)
    .map(([name]) => ({
      variable: required.join(', '),
      problem: `is missing, and the read ${connector.name}.${name} has no fake to run against: set the variable, or add fake.${name} to the connector`,
    }));
}

function checkDistinct(connectors: readonly Connector[]): void {
  const takenBy = new Map<string, string>();
  for (const { name, config } of connectors) {
    const variables = Object.keys(config.shape).flatMap((field) => {
      const variable = configVariable(name, field);
      return [
        [variable, `${name}.${field}`],
        [`${variable}_FILE`, `${name}.${field} as a file`],
      ] as const;
    });
    for (const [taken, by] of [[name, `connector ${name}`] as const, ...variables]) {
      const other = takenBy.get(taken);
      if (other !== undefined) {
        throw new TidegateError(
          'connector_invalid',
          taken === name
            ? `two connectors have the name ${name}: rename one`
            : `${other} and ${by} would both come from ${taken}: rename a field or a connector`,
        );
      }
      takenBy.set(taken, by);
    }
  }
}

function configInvalid(problems: readonly ConfigProblem[]): TidegateError {
  const lines = problems.map(({ variable, problem }) => `  ${variable} ${problem}`);
  return new TidegateError(
    'config_invalid',
    `The connectors' configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}\nSet them in the environment or in .env, then start again.`,
    { details: { problems } },
  );
}
