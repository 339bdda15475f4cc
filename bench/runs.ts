/** Runs as the operator API tells of them. */
import { patiently } from './processes.ts';

export interface Settlement {
  readonly result?: unknown;
}

/** The settlements of a run once this many of its events have an outcome. */
export const settledRun = (
  url: string,
  run: string,
  events: number,
): Promise<readonly Settlement[]> =>
  patiently(
    `${events} settled events of ${run}`,
    async () => {
      const row = await findRun<{
        readonly settledThrough: number;
        readonly settlements: readonly Settlement[];
      }>(url, run);
      return row !== undefined && row.settledThrough >= events ? row.settlements : undefined;
    },
    { withinMs: 900_000 },
  );

export async function findRun<Run>(url: string, run: string): Promise<Run | undefined> {
  const response = await fetch(`${url}/api/v1/runs/${encodeURIComponent(run)}`);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`GET ${run}: ${response.status}`);
  return (await response.json()) as Run;
}
