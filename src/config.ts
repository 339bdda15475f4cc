import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { isLoopback } from './http/loopback.ts';
import { messageOf, TidegateError } from './model/error.ts';

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
  /** What callers and operators send as bearer token. `TIDEGATE_TOKEN`, needed when `HOST` is not loopback */
  readonly token?: string;
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
  /** `LOG_LEVEL`, @default 'info' */
  readonly logLevel: LogLevel;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A shorter token could be guessed over the network. */
const TOKEN_CHARACTERS_MIN = 16;
/** As long as what HS256 makes of it; a shorter one could be guessed from one link. */
const LINK_SECRET_BYTES_MIN = 32;

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
  const set: Environment = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = Variables.safeParse(set);
  const across = acrossVariables(set);
  if (!parsed.success || across.length > 0) {
    const single = (parsed.error?.issues ?? []).map((issue) => variableProblem(issue, set));
    throw configInvalid([...single, ...across]);
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
    ...(variables.TIDEGATE_PUBLIC_URL === undefined
      ? {}
      : { publicUrl: variables.TIDEGATE_PUBLIC_URL }),
    ...(variables.DATABASE_URL === undefined ? {} : { databaseUrl: variables.DATABASE_URL }),
    ...(variables.TIDEGATE_TOKEN === undefined ? {} : { token: variables.TIDEGATE_TOKEN }),
  };
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

const port = (least: number) =>
  z
    .string()
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) >= least && Number(text) <= 65_535, {
      error: `must be a whole number from ${least} to 65535`,
    })
    .transform(Number);

const Variables = z.object({
  PORT: port(0).default(3_000),
  HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]+$/, 'must be a host name or an IP address, such as 127.0.0.1')
    .default('127.0.0.1'),
  TEMPORAL_PORT: port(1).default(7_233),
  TEMPORAL_UI_PORT: port(1).default(8_233),
  DATABASE_URL: z
    .string()
    .refine(isPostgresUrl, {
      error:
        'must be a PostgreSQL address such as postgres://user:password@host:5432/database; leave it out for the embedded journal',
    })
    .optional(),
  TIDEGATE_DIR: z.string().default('.tidegate'),
  TIDEGATE_TOKEN: z
    .string()
    .regex(/^[!-~]*$/, 'must be printable ASCII without spaces, because it travels in a header')
    .min(TOKEN_CHARACTERS_MIN, {
      error: `must have at least ${TOKEN_CHARACTERS_MIN} characters; make one with: openssl rand -hex 24`,
    })
    .optional(),
  TIDEGATE_PUBLIC_URL: z
    .string()
    .refine(isPublicUrl, {
      error:
        'must be an http or https address without user, query and fragment, such as https://flows.acme.example',
    })
    .transform((text) => text.replace(/\/+$/, ''))
    .optional(),
  TIDEGATE_LINK_SECRET: z
    .string()
    .transform((text) => text.split(',').map((secret) => secret.trim()))
    .refine(
      (secrets) => secrets.every((secret) => Buffer.byteLength(secret) >= LINK_SECRET_BYTES_MIN),
      {
        error: `must have at least ${LINK_SECRET_BYTES_MIN} bytes, each of them where commas separate several; make one with: openssl rand -hex 32`,
      },
    )
    .default([]),
  LOG_LEVEL: z
    .enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` })
    .default('info'),
});

/** Variables whose value is left out of messages: a secret, or an address with a password in it. */
const SECRET_VARIABLES: readonly string[] = [
  'TIDEGATE_TOKEN',
  'TIDEGATE_LINK_SECRET',
  'DATABASE_URL',
  // An address may be refused for the password in it.
  'TIDEGATE_PUBLIC_URL',
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
  if (!isLoopback(host) && set.TIDEGATE_TOKEN === undefined) {
    problems.push({
      variable: 'TIDEGATE_TOKEN',
      problem: `must be set because HOST=${host} can be reached by others; make one with: openssl rand -hex 24`,
    });
  }
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

/** The variables by which `@temporalio/envconfig` finds a Temporal. */
const namesTemporal = (set: Environment): boolean =>
  ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'].some(
    (variable) => set[variable] !== undefined,
  );

function isPublicUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol);
}

function configInvalid(problems: readonly ConfigProblem[]): TidegateError {
  const lines = problems.map(({ variable, problem }) => `  ${variable} ${problem}`);
  return new TidegateError(
    'config_invalid',
    `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}\nSet them in the environment or in .env, then start again.`,
    { details: { problems } },
  );
}
