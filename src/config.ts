import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import { Variables } from './config-variables.ts';
import { isLoopback } from './http/loopback.ts';
import type { RateLimit } from './ingress/rate-limits.ts';
import type { Thresholds } from './ingress/shedding.ts';
import { messageOf, TidegateError } from './model/error.ts';
import { readSecret } from './secret-variable.ts';

/** Variables as a process has them; an empty one counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Config {
  /** The port of ingress, operator API and console; 0 takes a free one. `PORT`, @default 3000 */
  readonly port: number;
  /** The address to listen on. `HOST`, @default '127.0.0.1' */
  readonly host: string;
  /** The Temporal dev server's port. `TEMPORAL_PORT`, @default 7233 */
  readonly temporalPort: number;
  /** The Temporal Web UI's port. `TEMPORAL_UI_PORT`, @default 8233 */
  readonly temporalUiPort: number;
  /**
   * Whether the environment names a Temporal of its own, so that no dev server is started. How to
   * reach it is `@temporalio/envconfig`'s to read.
   */
  readonly externalTemporal: boolean;
  /** PostgreSQL for the journal; absent, the journal is embedded. `DATABASE_URL` */
  readonly databaseUrl?: string;
  /** Absolute path of the embedded journal's and the dev server's state. `TIDEGATE_DIR`, @default '.tidegate' */
  readonly directory: string;
  /** The administrator's bearer token: every tenant, every action. `TIDEGATE_TOKEN` */
  readonly token?: string;
  /** Whose JSON Web Tokens are taken. `TIDEGATE_JWT_ISSUER` and what begins like it, @default nobody's */
  readonly jwt?: JwtConfig;
  /** `none`: an ingress on loopback takes callers without a credential. `TIDEGATE_AUTH`, @default unset */
  readonly auth?: 'none';
  /**
   * Where people reach the ingress, without a slash at its end: what approval links begin with.
   * `TIDEGATE_PUBLIC_URL`, @default the ingress's own address under `dev`, else none
   */
  readonly publicUrl?: string;
  /**
   * What signs approval links: the first signs, all verify. `TIDEGATE_LINK_SECRET`, comma-separated
   * while one rotates; @default one that `dev` makes and keeps, else none
   */
  readonly linkSecrets: readonly string[];
  /** How much an ingress takes in a time. `TIDEGATE_LIMIT_…`, @default none but for refused deliveries */
  readonly limits: {
    /** `TIDEGATE_LIMIT_PER_SOURCE` */
    readonly perSource?: RateLimit;
    /** `TIDEGATE_LIMIT_PER_TENANT` */
    readonly perTenant?: RateLimit;
    /** `TIDEGATE_LIMIT_PER_CALLER` */
    readonly perCaller?: RateLimit;
    /** `TIDEGATE_LIMIT_REFUSED_PER_ADDRESS`, @default '60/1m' */
    readonly refusedPerAddress?: RateLimit;
  };
  /** From how many waiting deliveries on a priority is refused. `TIDEGATE_SHED_BACKLOG`, @default `LIMITS` */
  readonly shedBacklog?: Thresholds;
  /** Proxies between senders and the ingress. `TIDEGATE_TRUSTED_PROXIES`, @default 0 */
  readonly trustedProxies: number;
  /** How long `/readyz` says that an ingress is stopping before it takes no more connections. `TIDEGATE_DRAIN_SECONDS`, @default 0 */
  readonly drainSeconds: number;
  /** What Prometheus sends: it may read `/metrics`, nothing else. `TIDEGATE_METRICS_TOKEN`, @default none */
  readonly metricsToken?: string;
  /** Where a worker answers `/metrics`. `METRICS_PORT`, @default nowhere */
  readonly metricsPort?: number;
  /** The file that says where tenants' runs go. `TIDEGATE_ROUTES`, @default all in one place */
  readonly routesFile?: string;
  /** The task queue that a worker works on. `TIDEGATE_TASK_QUEUE`, @default 'tidegate' */
  readonly taskQueue?: string;
  /** How many operations a worker runs at a time. `TIDEGATE_WORKER_OPERATIONS`, @default 200 */
  readonly operationsMax?: number;
  /** How many runs a worker keeps in memory. `TIDEGATE_WORKER_CACHED_RUNS`, @default by the size of its heap */
  readonly cachedRunsMax?: number;
  /**
   * The build of a worker, for Worker Versioning. `TEMPORAL_WORKER_BUILD_ID` of `TEMPORAL_DEPLOYMENT_NAME`
   * (@default 'tidegate'); @default an unversioned worker
   */
  readonly workerVersion?: { readonly deploymentName: string; readonly buildId: string };
  /** The file that says how long event data is kept. `TIDEGATE_RETENTION`, @default for ever */
  readonly retentionFile?: string;
  /** How many days verified webhook deliveries are kept as they came; 0 keeps none. `TIDEGATE_RAW_DAYS`, @default 0 */
  readonly rawDays: number;
  /** Where Temporal's Web UI is, for the codec server. `TIDEGATE_CODEC_ORIGINS`, @default that of `dev`, else none */
  readonly codecOrigins?: readonly string[];
  /** `LOG_LEVEL`, @default 'info' */
  readonly logLevel: LogLevel;
}

export interface JwtConfig {
  /** `TIDEGATE_JWT_ISSUER`, as it stands in the tokens */
  readonly issuer: string;
  /** `TIDEGATE_JWT_AUDIENCE` */
  readonly audience: string;
  /** `TIDEGATE_JWT_JWKS_URL`, @default '<issuer>/.well-known/jwks.json' */
  readonly jwksUrl: string;
  /** `TIDEGATE_JWT_TENANT_CLAIM`, @default 'tenant' */
  readonly tenantClaim: string;
}

export type LogLevel = Variables['LOG_LEVEL'];

interface ConfigProblem {
  readonly variable: string;
  readonly problem: string;
}

/**
 * The configuration of a process.
 *
 * @throws TidegateError `config_invalid` with every problem at once; `details.problems` lists them
 * as `{ variable, problem }`. The value of a secret is never repeated.
 */
export function readConfig(environment: Environment): Config {
  const secrets = readSecrets(environment);
  const set: Environment = Object.fromEntries(
    Object.entries({ ...environment, ...secrets.values }).filter(
      ([, value]) => value !== undefined && value !== '',
    ),
  );
  const parsed = Variables.safeParse(set);
  // A secret that cannot be read was given: that it is missing would be said in vain.
  const across = secrets.problems.length > 0 ? [] : acrossVariables(set);
  if (!parsed.success || secrets.problems.length + across.length > 0) {
    const single = (parsed.error?.issues ?? []).map((issue) => variableProblem(issue, set));
    throw configInvalid([...secrets.problems, ...single, ...across]);
  }
  const variables = parsed.data;
  return {
    port: variables.PORT,
    host: variables.HOST,
    temporalPort: variables.TEMPORAL_PORT,
    temporalUiPort: variables.TEMPORAL_UI_PORT,
    externalTemporal: namesTemporal(set),
    directory: resolve(variables.TIDEGATE_DIR),
    logLevel: variables.LOG_LEVEL,
    linkSecrets: variables.TIDEGATE_LINK_SECRET,
    ...(variables.TIDEGATE_RETENTION && { retentionFile: variables.TIDEGATE_RETENTION }),
    ...(variables.TIDEGATE_CODEC_ORIGINS && { codecOrigins: variables.TIDEGATE_CODEC_ORIGINS }),
    limits: limitsOf(variables),
    trustedProxies: variables.TIDEGATE_TRUSTED_PROXIES,
    ...(variables.TIDEGATE_ROUTES && { routesFile: variables.TIDEGATE_ROUTES }),
    ...(variables.TIDEGATE_TASK_QUEUE && { taskQueue: variables.TIDEGATE_TASK_QUEUE }),
    ...(variables.TIDEGATE_WORKER_OPERATIONS && {
      operationsMax: variables.TIDEGATE_WORKER_OPERATIONS,
    }),
    ...(variables.TIDEGATE_WORKER_CACHED_RUNS && {
      cachedRunsMax: variables.TIDEGATE_WORKER_CACHED_RUNS,
    }),
    ...(variables.TEMPORAL_WORKER_BUILD_ID && {
      workerVersion: {
        deploymentName: variables.TEMPORAL_DEPLOYMENT_NAME,
        buildId: variables.TEMPORAL_WORKER_BUILD_ID,
      },
    }),
    drainSeconds: variables.TIDEGATE_DRAIN_SECONDS,
    rawDays: variables.TIDEGATE_RAW_DAYS,
    ...(variables.TIDEGATE_SHED_BACKLOG && { shedBacklog: variables.TIDEGATE_SHED_BACKLOG }),
    ...(variables.METRICS_PORT === undefined ? {} : { metricsPort: variables.METRICS_PORT }),
    ...(variables.TIDEGATE_PUBLIC_URL === undefined
      ? {}
      : { publicUrl: variables.TIDEGATE_PUBLIC_URL }),
    ...(variables.DATABASE_URL === undefined ? {} : { databaseUrl: variables.DATABASE_URL }),
    ...(variables.TIDEGATE_TOKEN === undefined ? {} : { token: variables.TIDEGATE_TOKEN }),
    ...(variables.TIDEGATE_METRICS_TOKEN && { metricsToken: variables.TIDEGATE_METRICS_TOKEN }),
    ...(variables.TIDEGATE_AUTH === undefined ? {} : { auth: variables.TIDEGATE_AUTH }),
    ...jwtOf(variables),
  };
}

/**
 * Holds that callers need a credential, for an ingress that serves others.
 *
 * @throws TidegateError `config_invalid`, which says what to set.
 */
export function assertAuth({ token, jwt, auth }: Config): void {
  if (token !== undefined || jwt !== undefined || auth === 'none') return;
  throw configInvalid([
    {
      variable: 'TIDEGATE_TOKEN',
      problem:
        'must be set, so that not everybody can send events and decide about runs; make one with: openssl rand -hex 24. TIDEGATE_JWT_ISSUER and TIDEGATE_JWT_AUDIENCE do as well. On a machine of your own, TIDEGATE_AUTH=none lets in whoever is on it',
    },
  ]);
}

/**
 * Holds that a command has a journal which it can share with other processes.
 *
 * @throws TidegateError `config_invalid`.
 */
export function assertDatabase({ databaseUrl }: Config, command: string): void {
  if (databaseUrl !== undefined) return;
  throw new TidegateError(
    'config_invalid',
    `\`tidegate ${command}\` needs DATABASE_URL: the embedded journal belongs to one process, use \`tidegate dev\`.`,
  );
}

/**
 * The environment together with the variables of a directory's `.env` file; what the environment
 * sets, even to nothing, wins. A file that is not there adds nothing.
 *
 * @throws TidegateError `config_invalid` when the file is there but cannot be read.
 */
export function withEnvFile(directory: string, environment: Environment): Environment {
  const path = join(directory, '.env');
  if (!existsSync(path)) return environment;
  try {
    return { ...parseEnv(readFileSync(path, 'utf8')), ...environment };
  } catch (error) {
    throw new TidegateError(
      'config_invalid',
      `Cannot read ${path}: ${messageOf(error)}. Make it a readable file or remove it.`,
      { cause: error },
    );
  }
}

/** Variables that `<variable>_FILE` can give, as container secrets are mounted. */
export const FILE_VARIABLES = [
  'DATABASE_URL',
  'TIDEGATE_TOKEN',
  'TIDEGATE_LINK_SECRET',
  'TIDEGATE_METRICS_TOKEN',
] as const;

function readSecrets(environment: Environment): {
  readonly values: Environment;
  readonly problems: readonly ConfigProblem[];
} {
  const read = FILE_VARIABLES.map((variable) => ({
    name: variable,
    ...readSecret(variable, environment),
  }));
  return {
    values: Object.fromEntries(
      read.flatMap((secret) => (secret.status === 'set' ? [[secret.name, secret.text]] : [])),
    ),
    problems: read.flatMap((secret) =>
      secret.status === 'unreadable'
        ? [{ variable: secret.variable, problem: secret.problem }]
        : [],
    ),
  };
}

function limitsOf(variables: Variables): Config['limits'] {
  const named = {
    perSource: variables.TIDEGATE_LIMIT_PER_SOURCE,
    perTenant: variables.TIDEGATE_LIMIT_PER_TENANT,
    perCaller: variables.TIDEGATE_LIMIT_PER_CALLER,
    refusedPerAddress: variables.TIDEGATE_LIMIT_REFUSED_PER_ADDRESS,
  };
  return Object.fromEntries(
    Object.entries(named).filter(([, limit]) => limit !== undefined && limit !== 'none'),
  );
}

/** Variables whose value is left out of messages: a secret, or an address with a password in it. */
const SECRET_VARIABLES: readonly string[] = [
  ...FILE_VARIABLES,
  // An address may be refused for the password in it.
  'TIDEGATE_PUBLIC_URL',
  'TIDEGATE_JWT_ISSUER',
  'TIDEGATE_JWT_JWKS_URL',
];

function variableProblem(issue: z.core.$ZodIssue, set: Environment): ConfigProblem {
  const variable = String(issue.path[0]);
  const value = SECRET_VARIABLES.includes(variable) ? '' : `, got ${JSON.stringify(set[variable])}`;
  return { variable, problem: `${issue.message}${value}` };
}

/** What is wrong between variables, each of which may be right by itself. */
function acrossVariables(set: Environment): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const host = set.HOST ?? '127.0.0.1';
  const credentials = ['TIDEGATE_TOKEN', 'TIDEGATE_JWT_ISSUER', 'TIDEGATE_METRICS_TOKEN'];
  if (!isLoopback(host) && credentials.every((name) => set[name] === undefined)) {
    problems.push({
      variable: 'TIDEGATE_TOKEN',
      problem: `must be set because HOST=${host} can be reached by others; make one with: openssl rand -hex 24`,
    });
  }
  if (set.TEMPORAL_DEPLOYMENT_NAME !== undefined && set.TEMPORAL_WORKER_BUILD_ID === undefined) {
    problems.push({
      variable: 'TEMPORAL_WORKER_BUILD_ID',
      problem: 'must be set, because TEMPORAL_DEPLOYMENT_NAME is',
    });
  }
  problems.push(...authProblems(set, host), ...jwtProblems(set));
  const ports = namesTemporal(set)
    ? []
    : ([
        ['TEMPORAL_PORT', set.TEMPORAL_PORT ?? '7233'],
        ['TEMPORAL_UI_PORT', set.TEMPORAL_UI_PORT ?? '8233'],
      ] as const);
  const takenBy = new Map([[Number(set.PORT ?? '3000'), 'PORT']]);
  for (const [variable, text] of ports) {
    const other = takenBy.get(Number(text));
    if (other !== undefined) {
      problems.push({ variable, problem: `must differ from ${other}, both are ${text}` });
    }
    takenBy.set(Number(text), variable);
  }
  return problems;
}

function authProblems(set: Environment, host: string): readonly ConfigProblem[] {
  if (set.TIDEGATE_AUTH === undefined) return [];
  const credential = ['TIDEGATE_TOKEN', 'TIDEGATE_JWT_ISSUER'].find((name) => set[name]);
  if (credential !== undefined) {
    return [{ variable: 'TIDEGATE_AUTH', problem: `contradicts ${credential}: leave one out` }];
  }
  if (isLoopback(host)) return [];
  return [
    {
      variable: 'TIDEGATE_AUTH',
      problem: `must not be none because HOST=${host} can be reached by others`,
    },
  ];
}

function jwtProblems(set: Environment): readonly ConfigProblem[] {
  const [issuer, audience] = ['TIDEGATE_JWT_ISSUER', 'TIDEGATE_JWT_AUDIENCE'] as const;
  if (set[issuer] === undefined) {
    const others = [audience, 'TIDEGATE_JWT_JWKS_URL', 'TIDEGATE_JWT_TENANT_CLAIM'];
    const given = others.find((name) => set[name] !== undefined);
    if (given === undefined) return [];
    return [{ variable: issuer, problem: `must be set, because ${given} is` }];
  }
  if (set[audience] !== undefined) return [];
  const problem =
    'must be set, because TIDEGATE_JWT_ISSUER is: else a token that the issuer has made for another service would be taken';
  return [{ variable: audience, problem }];
}

function jwtOf(variables: Variables): { readonly jwt?: JwtConfig } {
  const { TIDEGATE_JWT_ISSUER: issuer, TIDEGATE_JWT_AUDIENCE: audience } = variables;
  if (issuer === undefined || audience === undefined) return {};
  const jwksUrl =
    variables.TIDEGATE_JWT_JWKS_URL ?? `${issuer.replace(/\/+$/, '')}/.well-known/jwks.json`;
  return { jwt: { issuer, audience, jwksUrl, tenantClaim: variables.TIDEGATE_JWT_TENANT_CLAIM } };
}

/** The variables by which `@temporalio/envconfig` finds a Temporal. */
const namesTemporal = (set: Environment): boolean =>
  ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'].some(
    (variable) => set[variable] !== undefined,
  );

function configInvalid(problems: readonly ConfigProblem[]): TidegateError {
  const lines = problems.map(({ variable, problem }) => `  ${variable} ${problem}`);
  return new TidegateError(
    'config_invalid',
    `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}\nSet them in the environment or in .env, then start again.`,
    { details: { problems } },
  );
}
