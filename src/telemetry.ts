import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import type { LogLevel } from './config.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Short lines for people instead of NDJSON. @default false */
  readonly pretty?: boolean;
  /** @default the process's stderr, so that stdout stays free for what a command prints */
  readonly destination?: DestinationStream;
}

/** A logger that writes NDJSON and never the value of a field that is named like a secret. */
export function createLogger({ level, pretty = false, destination }: LoggerOptions): Logger {
  const stream: DestinationStream = destination ?? { write: (line) => process.stderr.write(line) };
  return pino(
    {
      level,
      base: {},
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      // `formatters.log` does not see the fields that a child logger is made with.
      redact: { paths: SECRET_BINDINGS, censor: REDACTED },
      // `withoutSecrets` has turned errors into plain fields already.
      serializers: { err: (fields) => fields },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => withoutSecrets(fields) as Record<string, unknown>,
      },
    },
    pretty ? { write: (line) => stream.write(prettyLine(line)) } : stream,
  );
}

/** Field names in any spelling: `Authorization`, `x-hub-signature-256`, `clientSecret`, `api_key`. */
const SECRET_NAME = /authorization|cookie|token|secret|password|signature|api[-_]?key|credential/i;
const SECRET_BINDINGS = [
  'authorization',
  'cookie',
  'token',
  'secret',
  'signature',
  'apiKey',
].flatMap((name) => [name, `*.${name}`]);
const REDACTED = '[redacted]';
/** Fields nested deeper than this are dropped: nothing we log is, and a cycle would be. */
const DEPTH_MAX = 6;

function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_MAX) return '[too deep]';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  if (value instanceof Date) return value.toISOString();
  // The errors of HTTP clients carry the request's headers in fields of their own.
  const fields = value instanceof Error ? { ...stdSerializers.err(value) } : value;
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      SECRET_NAME.test(name) ? REDACTED : withoutSecrets(field, depth + 1),
    ]),
  );
}

/** `12:30:05 warn  a message  field=value`, with an error's stack below it. */
function prettyLine(line: string): string {
  const { time, level, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields)
    .map(
      ([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    .join('');
  const stack = (err as { readonly stack?: unknown } | undefined)?.stack;
  const trace = typeof stack === 'string' ? `${stack.replace(/^/gm, '    ')}\n` : '';
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${String(msg ?? '')}${rest}\n${trace}`;
}
