import { LIMITS } from '../model/limits.ts';

const MINUTE_MS = 60_000;

/**
 * Lets the log have at most `LIMITS.refusalLinesMax` lines a minute of what anybody can cause.
 *
 * @returns undefined for no line, or what the line is to say: how many went without one since the last.
 */
export function fewLines(): (nowMs: number) => { readonly unlogged: number } | undefined {
  let minute = 0;
  let lines = 0;
  let unlogged = 0;
  return (nowMs) => {
    const now = Math.floor(nowMs / MINUTE_MS);
    if (now !== minute) lines = 0;
    minute = now;
    if (lines >= LIMITS.refusalLinesMax) {
      unlogged += 1;
      return undefined;
    }
    lines += 1;
    const line = { unlogged };
    unlogged = 0;
    return line;
  };
}
