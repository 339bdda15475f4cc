/** Values of the environment, or of the files that `<variable>_FILE` names, as container secrets are mounted. */
import { readFileSync, statSync } from 'node:fs';
import { TidegateError } from './model/error.ts';
import { LIMITS } from './model/limits.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type SecretText =
  | { readonly status: 'unset' }
  | { readonly status: 'set'; readonly text: string; readonly from: 'variable' | 'file' }
  /** `variable` is the one to correct; `problem` never repeats the value. */
  | { readonly status: 'unreadable'; readonly variable: string; readonly problem: string };

/** What a variable holds, or the file that `<variable>_FILE` names; an empty variable counts as unset. */
export function readSecret(variable: string, environment: Environment): SecretText {
  const text = environment[variable] ?? '';
  const path = environment[`${variable}_FILE`] ?? '';
  if (path === '') {
    return text === '' ? { status: 'unset' } : { status: 'set', text, from: 'variable' };
  }
  if (text !== '') {
    const problem = `is set together with ${variable}_FILE; set one of them`;
    return { status: 'unreadable', variable, problem };
  }
  return readSecretFile(`${variable}_FILE`, path);
}

/**
 * Several secrets, without the white space around them: of a variable those between commas, of a file its
 * lines, because a password in a file can have a comma.
 *
 * @throws TidegateError `config_invalid`; the message never repeats a secret.
 */
export function readSecretList(variable: string, environment: Environment): readonly string[] {
  const read = readSecret(variable, environment);
  switch (read.status) {
    case 'unset':
      return [];
    case 'unreadable':
      throw new TidegateError('config_invalid', `${read.variable} ${read.problem}.`);
    case 'set': {
      const text = read.text.trim();
      if (text === '' && read.from === 'variable') return [];
      return text.split(read.from === 'file' ? /\r?\n/ : ',').map((part) => part.trim());
    }
    default:
      return read satisfies never;
  }
}

function readSecretFile(variable: string, path: string): SecretText {
  const unreadable = (problem: string): SecretText => ({ status: 'unreadable', variable, problem });
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return unreadable('names something that is not a file');
    if (stat.size > LIMITS.configFileBytesMax) {
      return unreadable(`names a file of more than ${LIMITS.configFileBytesMax} bytes`);
    }
    // Editors end a file with a newline, which is no part of a token.
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? unreadable('names an empty file') : { status: 'set', text, from: 'file' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return unreadable(`names a file that cannot be read (${code})`);
  }
}
