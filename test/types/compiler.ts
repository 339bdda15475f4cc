import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile).config,
  ts.sys,
  root,
);
/** Parsed once for all programs of the process. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/**
 * What the compiler says of texts, each as a module of its own in this folder: its messages, whole.
 * One program for all of them, since most of its time goes into what they import.
 */
export function compileAll(texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const paths = new Map([...texts.keys()].map((name, index) => [name, pathOf(index)]));
  const sources = new Map([...texts.values()].map((text, index) => [pathOf(index), text]));
  const host = ts.createCompilerHost(options);
  const parse = host.getSourceFile.bind(host);
  host.fileExists = (path) => sources.has(path) || ts.sys.fileExists(path);
  host.getSourceFile = (path, target) => {
    const text = sources.get(path);
    if (text !== undefined) return ts.createSourceFile(path, text, target);
    if (!parsed.has(path)) parsed.set(path, parse(path, target));
    return parsed.get(path);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return new Map([...paths].map(([name, path]) => [name, messagesOf(program, path)]));
}

const pathOf = (index: number): string => `${root}test/types/virtual-${index}.ts`;

const messagesOf = (program: ts.Program, path: string): string =>
  ts
    .getPreEmitDiagnostics(program, program.getSourceFile(path))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    .join('\n');
