/** What is remembered of refused deliveries: numbers by source and cause, never what a request held. */
import { fewLines } from '../http/few-lines.ts';
import type { ErrorCode } from '../model/error.ts';
import type { RefusalCause } from './verifiers/verifier.ts';

export interface RefusedDelivery {
  /** A source of the project: a name that a caller made up is not counted, or they would fill the memory. */
  readonly source: string;
  readonly cause: RefusalCause | ErrorCode;
  /** The size of the body: what was read of it, else what was announced. */
  readonly bytes: number;
}

export interface RefusalCount {
  readonly source: string;
  readonly cause: RefusedDelivery['cause'];
  readonly count: number;
  readonly bytes: number;
}

export interface Refusals {
  /**
   * Counts one. The log gets a line for at most `LIMITS.refusalLinesMax` of a source in a minute.
   *
   * @returns undefined, or what the line is to say: how many went without one since the last.
   */
  note(refusal: RefusedDelivery, nowMs: number): { readonly unlogged: number } | undefined;
  /** Since the start of the process, for metrics. */
  counts(): readonly RefusalCount[];
}

export function countRefusals(): Refusals {
  const counts = new Map<string, RefusalCount>();
  const lines = new Map<string, ReturnType<typeof fewLines>>();
  return {
    note({ source, cause, bytes }, nowMs) {
      const key = `${source}/${cause}`;
      const before = counts.get(key) ?? { source, cause, count: 0, bytes: 0 };
      counts.set(key, { ...before, count: before.count + 1, bytes: before.bytes + bytes });
      const line = lines.get(source) ?? fewLines();
      lines.set(source, line);
      return line(nowMs);
    },
    counts: () => [...counts.values()],
  };
}
