import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Connector } from '../connectors/index.ts';
import type { Source } from '../ingress/index.ts';
import type { Contract, EventCatalogue } from '../model/contract.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import { type FlowRegistry, flowRegistry } from '../model/flow-registry.ts';

/** A user's project, loaded by the names of its files (DESIGN §6). */
export interface Project {
  readonly directory: string;
  readonly catalogue: EventCatalogue<Readonly<Record<string, Contract>>>;
  readonly sources: readonly Source[];
  readonly connectors: readonly Connector[];
  readonly flows: FlowRegistry;
  /** The file that Temporal's bundler starts from. */
  readonly flowsPath: string;
}

const EXTENSIONS = ['.ts', '.js', '.mjs'] as const;

/**
 * Loads a project.
 *
 * @throws TidegateError `project_invalid` naming the file that is missing, cannot be loaded or does
 * not export what it must; and what the project's own definitions throw.
 */
export async function loadProject(path: string): Promise<Project> {
  const directory = resolve(path);
  if (!existsSync(directory)) {
    throw invalid(`There is no directory ${path}. Give the directory that has events.ts in it.`);
  }
  const { events } = await load(directory, 'events', 'events');
  const { sources } = await load(directory, 'sources', 'sources', []);
  const { connectors } = await load(directory, 'connectors', 'connectors', []);
  const flowsPath = find(directory, 'flows/index');
  if (flowsPath === undefined) {
    throw invalid(`${join(path, 'flows/index.ts')} is missing. It re-exports the flows by name.`);
  }
  const flows = flowRegistry((await importFile(flowsPath)) as Record<string, unknown>);
  checkTypes(flows, events as Project['catalogue']);
  return {
    directory,
    catalogue: events as Project['catalogue'],
    sources: sources as readonly Source[],
    connectors: connectors as readonly Connector[],
    flows,
    flowsPath,
  };
}

/** TypeScript has checked this where it ran; a project in JavaScript learns it here. */
function checkTypes(flows: FlowRegistry, { contracts }: Project['catalogue']): void {
  for (const { name, head } of flows.flows) {
    const unknown = head.on.filter((type) => !Object.hasOwn(contracts, type));
    if (unknown.length > 0) {
      throw invalid(
        `The flow ${name} takes ${unknown.join(', ')}, which events.ts does not define.`,
      );
    }
  }
}

async function load(
  directory: string,
  file: string,
  name: string,
  fallback?: unknown,
): Promise<Record<string, unknown>> {
  const path = find(directory, file);
  if (path === undefined) {
    if (fallback !== undefined) return { [name]: fallback };
    throw invalid(`${join(directory, `${file}.ts`)} is missing. It exports \`${name}\`.`);
  }
  const module = (await importFile(path)) as Record<string, unknown>;
  if (module[name] === undefined) throw invalid(`${path} must export \`${name}\`.`);
  return module;
}

const find = (directory: string, file: string): string | undefined =>
  EXTENSIONS.map((extension) => join(directory, `${file}${extension}`)).find(existsSync);

async function importFile(path: string): Promise<unknown> {
  if (path.endsWith('.ts')) await understandTypeScript();
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    if (TidegateError.is(error)) throw error;
    throw new TidegateError('project_invalid', `${path} cannot be loaded: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

let typeScript: Promise<unknown> | undefined;

/** Node 20 does not load TypeScript by itself. */
function understandTypeScript(): Promise<unknown> {
  typeScript ??= import('tsx/esm/api').then(({ register }) => register());
  return typeScript;
}

const invalid = (message: string): TidegateError => new TidegateError('project_invalid', message);
