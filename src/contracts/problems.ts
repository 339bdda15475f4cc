import type { core } from 'zod';
import type { ContractProblem } from '../model/contract.ts';
import { LIMITS } from '../model/limits.ts';

/** The first problems that zod found; a thousand broken lines need no thousand messages. */
export function zodProblems(issues: readonly core.$ZodIssue[]): readonly ContractProblem[] {
  const shown = issues
    .slice(0, LIMITS.problemsMax)
    .map((issue) => readableProblem({ path: jsonPath(issue.path), message: issue.message }));
  const hidden = issues.length - shown.length;
  return hidden === 0 ? shown : [...shown, { path: '', message: `${hidden} more problems` }];
}

/** A path such as `lines[0].sku`. Keys that are not plain words are quoted: `prices["a b"]`. */
export function jsonPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(String(part)))
      text += `${text === '' ? '' : '.'}${String(part)}`;
    else text += `[${JSON.stringify(String(part))}]`;
  }
  return text;
}

/** A problem quotes what a sender wrote: without control characters and half surrogates it can be stored. */
export const readableProblem = ({ path, message }: ContractProblem): ContractProblem => ({
  path: readable(path),
  message: readable(message),
});

const readable = (text: string): string =>
  text
    .slice(0, LIMITS.attributeCharactersMax)
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to replace.
    .replace(/[\u0000-\u001f\u007f]/g, '\ufffd');
