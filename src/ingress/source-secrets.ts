import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { readSecretList } from '../secret-variable.ts';
import { canonicalTime } from './time.ts';

/** One secret of a source, and when it counts. */
export interface SourceSecret {
  readonly text: string;
  /** From this moment on. @default always */
  readonly fromMs?: number;
  /** Up to this moment, which is out. @default for ever */
  readonly untilMs?: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that holds a source's secret: `TIDEGATE_SOURCE_GITHUB_SECRET`. */
export const secretVariable = (name: string): string =>
  `TIDEGATE_SOURCE_${name.toUpperCase().replaceAll('-', '_')}_SECRET`;

/** Those that count at a moment, in their order. */
export const validSecrets = (secrets: readonly SourceSecret[], nowMs: number): readonly string[] =>
  secrets
    .filter(({ fromMs = -Infinity, untilMs = Infinity }) => fromMs <= nowMs && nowMs < untilMs)
    .map(({ text }) => text);

/**
 * The secrets of a source: from its variable, separated by commas, or from the file that
 * `<variable>_FILE` names, one a line. Behind each can be `@<from>..<until>`, when it counts for a time only.
 *
 * @throws TidegateError `config_invalid`; the message never repeats a secret.
 */
export function readSecrets(name: string, environment: Environment): readonly SourceSecret[] {
  const variable = secretVariable(name);
  const secrets = readSecretList(variable, environment).map((part) => parseSecret(part, variable));
  if (secrets.length > LIMITS.sourceSecretsMax) {
    throw invalid(variable, `has more than ${LIMITS.sourceSecretsMax} secrets`);
  }
  return secrets;
}

/** What looks like a validity: a secret's own text can have an `@`, but hardly this behind it. */
const VALIDITY = /^(.*)@([\dTZ:.+-]*\.\.[\dTZ:.+-]*)$/s;

function parseSecret(part: string, variable: string): SourceSecret {
  const match = VALIDITY.exec(part);
  const text = match?.[1] ?? part;
  if (text.trim() === '') {
    throw invalid(
      variable,
      'has an empty secret: separate secrets by one comma, or by lines in a file, with none at the end',
    );
  }
  return match === null ? { text } : { text, ...parseValidity(match[2] ?? '', variable) };
}

function parseValidity(
  validity: string,
  variable: string,
): { readonly fromMs?: number; readonly untilMs?: number } {
  const [from = '', until = ''] = validity.split('..');
  const fromMs = from === '' ? undefined : momentMs(from);
  const untilMs = until === '' ? undefined : momentMs(until);
  const isBroken = Number.isNaN(fromMs) || Number.isNaN(untilMs) || from + until === '';
  if (isBroken || (fromMs !== undefined && untilMs !== undefined && fromMs >= untilMs)) {
    throw invalid(
      variable,
      'has a validity that is none: write <secret>@<from>..<until> with days such as 2026-11-21 or times such as 2026-11-21T08:00:00Z, from before until, either of them left out',
    );
  }
  return {
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

/** A day begins at midnight UTC. */
function momentMs(text: string): number {
  const time = canonicalTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  return time === undefined ? Number.NaN : Date.parse(time);
}

const invalid = (variable: string, problem: string): TidegateError =>
  new TidegateError('config_invalid', `${variable} ${problem}.`);
