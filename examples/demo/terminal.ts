/** What the stories print, and how. */

/** A reason to stop that the reader can do something about. */
export const demoFailed = (message: string, cause?: unknown): Error =>
  Object.assign(new Error(message, { cause }), { name: 'DemoFailed' });

export const isDemoFailed = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'DemoFailed';

export const say = (text: string): void => console.log(text);
export const title = (text: string, rest = ''): void => say(`\n${bold(text)}${rest}\n`);

export function table(rows: readonly (readonly string[])[]): void {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd();
  const [head = [], ...body] = rows;
  say(`\n${bold(line(head))}\n${body.map(line).join('\n')}\n`);
}

/**
 * Says that the story has kept its promise.
 *
 * @throws `DemoFailed` naming the parts of the promise that do not hold.
 */
export function promise(kept: string, parts: Readonly<Record<string, boolean>>): void {
  const broken = Object.keys(parts).filter((part) => parts[part] === false);
  if (broken.length > 0) throw demoFailed(`The promise does not hold: ${broken.join('; ')}.`);
  say(green(`${kept}\n`));
}

const isTerminal = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const style = (code: number) => (text: string) =>
  isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text;
export const bold = style(1);
export const dim = style(2);
export const red = style(31);
export const green = style(32);

const COLOUR_OF: Readonly<Record<string, number>> = { accepted: 32, refused: 31 };
/** An event's status in its colour. */
export const coloured = (status: string): string =>
  style(COLOUR_OF[status] ?? 33)(status.padEnd(9));
