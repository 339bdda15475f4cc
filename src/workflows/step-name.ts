import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';

/**
 * Checks a name that becomes part of step ids, in which `/` and `#` have a meaning.
 * @throws TidegateError `option_invalid`
 */
export function checkStepName(name: string, what: string): void {
  const isName = typeof name === 'string' && /^[^/#]+$/.test(name);
  if (isName && name.length <= LIMITS.branchNameCharactersMax) return;
  throw new TidegateError(
    'option_invalid',
    `${what} must be a name of 1 to ${LIMITS.branchNameCharactersMax} characters without / and #, got ${JSON.stringify(name)}`,
  );
}
