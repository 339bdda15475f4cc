import type { Contract, EventCatalogue } from './contract.ts';

/** What a project has marked. */
export interface Masking {
  /** The event types that have a marked field, in any version. */
  readonly types: readonly string[];
  /** The marked paths of a type in all its versions; undefined for a type that no contract describes. */
  readonly pathsOf: (type: string) => readonly string[] | undefined;
  /** The names of marked fields, for data that does not have the shape of its contract. */
  readonly names: ReadonlySet<string>;
}

type Catalogue = EventCatalogue<Readonly<Record<string, Contract>>>;

/** A catalogue does not change, and every event asks. */
const known = new WeakMap<Catalogue, Masking | undefined>();

/** What is marked in a catalogue; undefined when nothing is, so that nothing has to be masked. */
export function maskingOf(catalogue: Catalogue): Masking | undefined {
  if (!known.has(catalogue)) known.set(catalogue, readMarks(catalogue));
  return known.get(catalogue);
}

function readMarks(catalogue: Catalogue): Masking | undefined {
  const paths = new Map(
    Object.values(catalogue.contracts).map(({ type, versions }) => [
      type,
      [...new Set(versions.flatMap(({ pii }) => pii))],
    ]),
  );
  const marked = [...paths].filter(([, each]) => each.length > 0);
  if (marked.length === 0) return undefined;
  return {
    types: marked.map(([type]) => type),
    pathsOf: (type) => paths.get(type),
    names: new Set(marked.flatMap(([, each]) => each.flatMap(nameOf))),
  };
}

/** `lines[].email` is a field called `email`. */
function nameOf(path: string): readonly string[] {
  const name = path
    .replace(/(?:\[\d*\])+$/, '')
    .split(/\.|\]/)
    .at(-1);
  return name === undefined || name === '' ? [] : [name];
}
