import { LIMITS } from './limits.ts';
import { parseRunId, type RunId } from './run.ts';

const KEY_CHARACTERS_MAX = 60;

/** A run as a chain names it: `orderSync(7)`. */
export function runName(run: RunId): string {
  const parts = parseRunId(run);
  if (parts === undefined) return run;
  const { flow, key } = parts;
  const shown = key.length > KEY_CHARACTERS_MAX ? `${key.slice(0, KEY_CHARACTERS_MAX - 1)}…` : key;
  return `${flow}(${shown})`;
}

/** A chain of runs for people: `orderSync(7) → crmSync(7) → orderSync(7)`. */
export const chainText = (runs: readonly RunId[]): string => runs.map(runName).join(' → ');

/** Whether a story that came by these runs has been at one of them as often as it may. */
export const goesInCircles = (ancestors: readonly RunId[], run: RunId): boolean =>
  ancestors.filter((ancestor) => ancestor === run).length >= LIMITS.runVisitsMax;
