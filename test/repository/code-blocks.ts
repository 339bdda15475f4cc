/**
 * One fenced TypeScript block of a document. The fence may carry attributes:
 *
 * - `ts file=<path>`: the block is that file of the repository, or a part of it, word for word.
 * - `ts in=<folder>`: the block compiles as if it stood in that folder of the repository.
 */
export interface CodeBlock {
  readonly path: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly code: string;
  readonly file: string | undefined;
  readonly folder: string | undefined;
}

/** The TypeScript blocks of a document. Throws on an attribute it does not know. */
export function codeBlocks(path: string, text: string): readonly CodeBlock[] {
  const fences = text.matchAll(/^( *)```(?:ts|typescript)\b([^\n]*)\n([\s\S]*?)^\1```$/gm);
  return [...fences].map((match) => {
    const [, , info = '', code = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    const attributes = attributesOf(info, `${path}:${line}`);
    return { path, line, code, file: attributes.get('file'), folder: attributes.get('in') };
  });
}

function attributesOf(info: string, place: string): ReadonlyMap<string, string> {
  const words = info.split(/\s+/).filter((word) => word !== '');
  return new Map(
    words.map((word) => {
      const [, name, value] = /^(file|in)=(\S+)$/.exec(word) ?? [];
      if (name === undefined || value === undefined)
        throw new Error(`${place}: a TypeScript fence takes file=… or in=…, not ${word}`);
      return [name, value];
    }),
  );
}

/** Without indentation and blank ends, so that a part of a file can be shown at the margin. */
export function dedent(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim();
}
