/** Prints rows in aligned columns: text to the left, numbers to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const columns = head.map((title, column) => {
    const cells = rows.map((row) => row[column] ?? '');
    const width = Math.max(title.length, ...cells.map(({ length }) => length));
    const isNumbers = cells.every((cell) => /^(× )?-?[\d.,]*$/.test(cell));
    return (text = '') => (isNumbers ? text.padStart(width) : text.padEnd(width));
  });
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, index) => column(cells[index]))
      .join('  ')
      .trimEnd();
  console.log(line(head));
  console.log(columns.map((column) => '-'.repeat(column().length)).join('  '));
  for (const row of rows) console.log(line(row));
}

/** One line of the table at the end. */
export interface Row {
  /** What was measured, with its unit. */
  readonly name: string;
  readonly value: number;
  /** What it is compared with, measured or counted in the same run. */
  readonly against: string;
  readonly base: number;
  readonly goal?: Goal;
}

export interface Goal {
  readonly text: string;
  readonly isMet: boolean;
}

/** @param text what the number is, after it: `at least 20 × the hand-written one` */
export const atLeast = (value: number, least: number, text = ''): Goal => ({
  text: `at least ${number(least)}${text}`,
  isMet: value >= least,
});

export const atMost = (value: number, most: number, text = ''): Goal => ({
  text: `at most ${number(most)}${text}`,
  isMet: value <= most,
});

export const both = (one: Goal, other: Goal): Goal => ({
  text: `${one.text}, ${other.text}`,
  isMet: one.isMet && other.isMet,
});

export const ratioOf = ({ value, base }: Row): number => value / base;

/** The table at the end, of every part. */
export function printRows(rows: readonly (Row & { readonly part: string })[]): void {
  printTable(
    ['part', 'what', 'measured', 'ratio', 'compared with', '', 'goal', 'met'],
    rows.map((row) => [
      row.part,
      row.name,
      number(row.value),
      `× ${number(ratioOf(row))}`,
      row.against,
      number(row.base),
      row.goal?.text ?? '',
      row.goal === undefined ? '' : row.goal.isMet ? 'yes' : 'NO',
    ]),
  );
}

/** Three digits, or all of those before the point. */
export const number = (value: number): string =>
  value.toLocaleString(
    'en',
    Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 },
  );
