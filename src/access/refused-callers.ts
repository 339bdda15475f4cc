/** What is remembered of callers that were not let in: numbers by cause, never what they sent. */
import { fewLines } from '../http/few-lines.ts';

export type RefusedCallerCause =
  | 'missing'
  | 'malformed'
  | 'unknown'
  | 'key_pending'
  | 'key_expired'
  | 'key_revoked'
  | 'jwt_invalid'
  | 'jwt_expired'
  | 'jwt_claims';

export interface RefusedCallers {
  /**
   * Counts one. The log gets a line for at most `LIMITS.refusalLinesMax` in a minute.
   *
   * @returns undefined, or what the line is to say: how many went without one since the last.
   */
  note(cause: RefusedCallerCause, nowMs: number): { readonly unlogged: number } | undefined;
  /** Since the start of the process, for metrics. */
  counts(): readonly { readonly cause: RefusedCallerCause; readonly count: number }[];
}

export function countRefusedCallers(): RefusedCallers {
  const counts = new Map<RefusedCallerCause, number>();
  const line = fewLines();
  return {
    note(cause, nowMs) {
      counts.set(cause, (counts.get(cause) ?? 0) + 1);
      return line(nowMs);
    },
    counts: () => [...counts].map(([cause, count]) => ({ cause, count })),
  };
}
