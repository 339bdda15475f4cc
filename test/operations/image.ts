/** What an image of the Dockerfile has in it, made without containers: its steps are done one by one in folders. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { repositoryFiles } from '../repository/files.ts';
import { repositoryRoot } from './compose.ts';

export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

export interface Image {
  /** The folder that is the container's `/`. */
  readonly root: string;
  readonly workdir: string;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The instructions of a Dockerfile, continued lines joined. */
export const instructionsOf = (text: string): readonly Instruction[] =>
  text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return { name, rest };
    });

/** The repository's files that .dockerignore lets into a build. */
export function buildContext(): readonly string[] {
  const lines = readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8').trim().split('\n');
  const kept = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const dropped = lines.filter((line) => line.startsWith('**/')).map((line) => line.slice(3));
  return repositoryFiles().filter(
    (path) =>
      kept.some((each) => path === each || path.startsWith(`${each}/`)) &&
      !path.split('/').some((part) => dropped.includes(part)),
  );
}

/**
 * Does what `docker build` would do, in a folder. The base image is this machine; of `npm ci`, whose packages are
 * installed here, the result is copied.
 */
export function makeImage(folder: string): Image {
  const context = join(folder, 'context');
  for (const path of buildContext()) copy(join(repositoryRoot, path), join(context, path));
  const text = readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8');
  const stages = new Map<string, Image>();
  let image: Image | undefined;
  for (const { name, rest } of instructionsOf(text)) {
    if (name === 'FROM') {
      const stage = / AS (\w+)$/.exec(rest)?.[1] ?? 'last';
      image = newStage(join(folder, stage));
      stages.set(stage, image);
      continue;
    }
    if (image === undefined) throw new Error(`${name} comes before FROM`);
    if (name === 'COPY') copyInto(image, rest, { context, stages });
    else if (name === 'RUN') runIn(image, rest);
    else image = { ...image, ...setting(name, rest, image) };
    stages.set(basename(image.root), image);
  }
  if (image === undefined) throw new Error('the Dockerfile has no stage');
  return image;
}

function newStage(root: string): Image {
  mkdirSync(root, { recursive: true });
  return { root, workdir: '/', user: 'root', entrypoint: [], command: [], environment: {} };
}

function setting(name: string, rest: string, image: Image): Partial<Image> {
  switch (name) {
    case 'WORKDIR':
      mkdirSync(join(image.root, rest), { recursive: true });
      return { workdir: rest };
    case 'USER':
      return { user: rest };
    case 'ENTRYPOINT':
      return { entrypoint: JSON.parse(rest) as string[] };
    case 'CMD':
      return { command: JSON.parse(rest) as string[] };
    case 'ENV': {
      const [variable = '', value = ''] = rest.split('=');
      return { environment: { ...image.environment, [variable]: value } };
    }
    case 'EXPOSE':
      return {};
    default:
      throw new Error(`this does not know the instruction ${name}`);
  }
}

function copyInto(
  image: Image,
  rest: string,
  from: { readonly context: string; readonly stages: ReadonlyMap<string, Image> },
): void {
  const [, stage, paths = ''] = /^(?:--from=(\w+) )?(.*)$/.exec(rest) ?? [];
  const places = paths.split(' ');
  const target = resolve(image.workdir, places.at(-1) ?? '');
  const isFolder = places.at(-1)?.endsWith('/') ?? false;
  for (const source of places.slice(0, -1)) {
    const to = join(image.root, isFolder ? join(target, basename(source)) : target);
    if (stage === undefined) {
      copy(join(from.context, source), to);
      continue;
    }
    const root = from.stages.get(stage)?.root ?? '';
    // What is not of this build is of the base image, which is this machine.
    copy(source.startsWith('/app') ? join(root, source) : source, to);
  }
}

function runIn({ root, workdir }: Image, command: string): void {
  const cwd = join(root, workdir);
  if (command.startsWith('npm ci ')) {
    // Of a link, a later step would change what it leads to.
    copy(realpathSync(join(repositoryRoot, 'node_modules')), join(cwd, 'node_modules'));
    return;
  }
  // Elsewhere it would leave what cannot run here.
  if (command.includes('-unknown-linux-gnu') && process.platform !== 'linux') return;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd,
    encoding: 'utf8',
    timeout: 240_000,
    env: { ...process.env, npm_config_offline: 'true' },
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}\n${stdout}\n${stderr}`);
}

function copy(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true, verbatimSymlinks: true });
}
