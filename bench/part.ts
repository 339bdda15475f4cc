import type { Stack } from './stack.ts';
import type { Row } from './table.ts';

/** What a part is given. */
export interface Bench {
  readonly stack: Stack;
  /** A count or a time in the size that was asked for, at least `least`. @default 1 */
  readonly scaled: (whole: number, least?: number) => number;
}

/** Measures, and throws when what it measured was not done right. */
export type Part = (bench: Bench) => Promise<readonly Row[]>;
