/** The variables of a process, each by itself: what it may hold, its default, and what is wrong with it. */
import { z } from 'zod';
import { isLoopback } from './http/loopback.ts';
import { parseRateLimit } from './ingress/rate-limits.ts';
import type { Thresholds } from './ingress/shedding.ts';
import { messageOf } from './model/error.ts';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** A shorter token could be guessed over the network. */
const TOKEN_CHARACTERS_MIN = 16;
/** As long as what HS256 makes of it; a shorter one could be guessed from one link. */
const LINK_SECRET_BYTES_MIN = 32;

const port = (least: number) =>
  z
    .string()
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) >= least && Number(text) <= 65_535, {
      error: `must be a whole number from ${least} to 65535`,
    })
    .transform(Number);

const token = z
  .string()
  .regex(/^[!-~]*$/, 'must be printable ASCII without spaces, because it travels in a header')
  .min(TOKEN_CHARACTERS_MIN, {
    error: `must have at least ${TOKEN_CHARACTERS_MIN} characters; make one with: openssl rand -hex 24`,
  });

const KEYS_URL_RULE =
  'must be an https address without a user, such as https://login.acme.example (http only on loopback)';

const wholeNumber = (most: number, least = 0) =>
  z
    .string()
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= most && Number(text) >= least, {
      error: `must be a whole number from ${least} to ${most}`,
    })
    .transform(Number);

/** A rate such as `100/1s`, or `none`. */
const rateLimit = z.string().transform((text, context) => {
  try {
    return text === 'none' ? ('none' as const) : parseRateLimit(text, 'the limit');
  } catch (error) {
    context.addIssue({
      code: 'custom',
      message: `must be a rate such as 100/1s or 100/1s burst 500, or none: ${messageOf(error)}`,
    });
    return z.NEVER;
  }
});

const thresholds = z.string().transform((text, context): Thresholds => {
  const [low, normal, high, ...more] = text.split(',').map((part) => part.trim());
  const areNumbers = [low, normal, high].every((part) => /^[1-9]\d{0,11}$/.test(part ?? ''));
  const found = { low: Number(low), normal: Number(normal), high: Number(high) };
  const areInOrder = found.low <= found.normal && found.normal <= found.high;
  if (areNumbers && areInOrder && more.length === 0) return found;
  context.addIssue({
    code: 'custom',
    message:
      'must be three whole numbers for low, normal and high priority, none below the one before it, such as 250000,500000,1000000',
  });
  return z.NEVER;
});

const temporalName = z
  .string()
  .regex(/^[!-~]{1,200}$/, 'must be 1 to 200 printable ASCII characters without spaces');

/** What they hold once each is found right by itself, with the defaults of those that are not set. */
export type Variables = z.output<typeof Variables>;
export const Variables = z.object({
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
  TIDEGATE_TOKEN: token.optional(),
  TIDEGATE_METRICS_TOKEN: token.optional(),
  TIDEGATE_AUTH: z.enum(['none'], { error: 'can only be none; leave it out otherwise' }).optional(),
  TIDEGATE_JWT_ISSUER: z.string().refine(isKeysUrl, { error: KEYS_URL_RULE }).optional(),
  TIDEGATE_JWT_AUDIENCE: z.string().optional(),
  TIDEGATE_JWT_JWKS_URL: z.string().refine(isKeysUrl, { error: KEYS_URL_RULE }).optional(),
  TIDEGATE_JWT_TENANT_CLAIM: z.string().default('tenant'),
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
    .transform((text) => text.split(/,|\r?\n/).map((secret) => secret.trim()))
    .refine(
      (secrets) => secrets.every((secret) => Buffer.byteLength(secret) >= LINK_SECRET_BYTES_MIN),
      {
        error: `must have at least ${LINK_SECRET_BYTES_MIN} bytes, each of them where commas separate several; make one with: openssl rand -hex 32`,
      },
    )
    .default([]),
  TIDEGATE_RETENTION: z.string().optional(),
  TIDEGATE_RAW_DAYS: wholeNumber(3_650).prefault('0'),
  TIDEGATE_CODEC_ORIGINS: z
    .string()
    .transform((text) => text.split(',').map((origin) => origin.trim()))
    .refine((origins) => origins.every(isOrigin), {
      error: 'must be origins such as https://temporal.acme.example, separated by commas',
    })
    .optional(),
  TIDEGATE_LIMIT_PER_SOURCE: rateLimit.optional(),
  TIDEGATE_LIMIT_PER_TENANT: rateLimit.optional(),
  TIDEGATE_LIMIT_PER_CALLER: rateLimit.optional(),
  TIDEGATE_LIMIT_REFUSED_PER_ADDRESS: rateLimit.prefault('60/1m'),
  TIDEGATE_SHED_BACKLOG: thresholds.optional(),
  TIDEGATE_TRUSTED_PROXIES: wholeNumber(10).prefault('0'),
  TIDEGATE_DRAIN_SECONDS: wholeNumber(120).prefault('0'),
  METRICS_PORT: port(1).optional(),
  TIDEGATE_ROUTES: z.string().optional(),
  TIDEGATE_TASK_QUEUE: temporalName.optional(),
  TIDEGATE_WORKER_OPERATIONS: wholeNumber(10_000, 1).optional(),
  TIDEGATE_WORKER_CACHED_RUNS: wholeNumber(99_999, 10).optional(),
  // As Temporal's Worker Controller names them.
  TEMPORAL_DEPLOYMENT_NAME: temporalName.default('tidegate'),
  TEMPORAL_WORKER_BUILD_ID: temporalName.optional(),
  LOG_LEVEL: z
    .enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` })
    .default('info'),
});

const isOrigin = (text: string): boolean => isPublicUrl(text) && new URL(text).origin === text;

function isPublicUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** Whoever can change what is read there makes the tokens: it must not travel in the clear. */
function isKeysUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  const isSafe = protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
  return isSafe && username === '' && password === '';
}

function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && /^postgres(?:ql)?:$/.test(new URL(text).protocol);
}
