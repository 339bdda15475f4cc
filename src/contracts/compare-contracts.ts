/** What has changed since the contracts were released. Pure: the time is an argument. */
import { compareSchemas, type SchemaChange } from './compare-schemas.ts';
import type { ContractsLock } from './contracts-lock.ts';

/** A change, and the type and version it is in. */
export interface ContractChange extends SchemaChange {
  readonly type: string;
  readonly version: number;
}

type Released = ContractsLock['contracts'][string];
type Change = Omit<ContractChange, 'type' | 'version'>;

/**
 * Every change from the released contracts to those of now: `breaking` and `unclear` ones are to be
 * avoided or given a new version.
 */
export function compareContracts(
  released: ContractsLock,
  now: ContractsLock,
  nowMs: number,
): readonly ContractChange[] {
  const removedOrChanged = Object.entries(released.contracts).flatMap(([type, was]) => {
    const is = contractOf(now, type);
    const changes = Object.keys(was.versions)
      .map(Number)
      .flatMap((version) =>
        compareVersion(version, was, is, nowMs).map((change) => ({ version, ...change })),
      );
    return [...changes, ...compareUnversioned(was, is, nowMs)].map((each) => ({ type, ...each }));
  });
  const added = Object.entries(now.contracts).flatMap(([type, { versions }]) =>
    Object.keys(versions)
      .map(Number)
      .filter((version) => contractOf(released, type)?.versions[version] === undefined)
      .map((version) => ({
        type,
        version,
        ...whole('compatible', 'version', 'not there', 'added'),
      })),
  );
  return [...removedOrChanged, ...added];
}

/** A type can have the name of something that every object has, such as `constructor`. */
const contractOf = ({ contracts }: ContractsLock, type: string): Released | undefined =>
  Object.hasOwn(contracts, type) ? contracts[type] : undefined;

function compareVersion(
  version: number,
  released: Released,
  now: Released | undefined,
  nowMs: number,
): readonly Change[] {
  const was = released.versions[version];
  const is = now?.versions[version];
  if (was === undefined) return [];
  if (now === undefined || is === undefined) {
    const kind = hasEnded(was, nowMs) ? 'compatible' : 'breaking';
    return [whole(kind, now === undefined ? 'type' : 'version', 'taken', missing(version, now))];
  }
  if (was.schema === null && is.schema === null) return [];
  if (was.schema === null || is.schema === null) {
    const [before, after] = [was, is].map(({ schema }) => (schema ? 'there' : 'not there'));
    return [whole('unclear', 'schema of its own', before, after)];
  }
  const readers = version === now.version ? 'has readers' : 'has no readers';
  return compareSchemas(was.schema, is.schema, readers);
}

/** Senders that name no version are held to another one, which may refuse what they send. */
function compareUnversioned(
  released: Released,
  now: Released | undefined,
  nowMs: number,
): readonly (Change & { readonly version: number })[] {
  const [from, to] = [released.unversioned, now?.unversioned];
  // Of a version that is gone, its removal is told.
  if (to === undefined || from === to || now?.versions[from] === undefined) return [];
  const [was, is] = [released.versions[from], now.versions[to]];
  const fits =
    was?.schema != null &&
    is?.schema != null &&
    compareSchemas(was.schema, is.schema, 'has no readers').every(
      ({ kind }) => kind === 'compatible',
    );
  const kind = fits || hasEnded(was, nowMs) ? 'compatible' : 'breaking';
  const aspect = 'version of events without schemaversion';
  return [{ version: from, ...whole(kind, aspect, from, to) }];
}

const hasEnded = (version: Released['versions'][string] | undefined, nowMs: number): boolean =>
  version?.sunset !== undefined && nowMs >= Date.parse(version.sunset);

function missing(version: number, now: Released | undefined): string {
  if (now === undefined) return 'removed';
  if (version > now.version) return `removed: the current version is ${now.version}`;
  return `removed: there is no upcast from it to version ${version + 1}`;
}

/** A change of a version as a whole. */
const whole = (kind: Change['kind'], aspect: string, was: unknown, is: unknown): Change => ({
  kind,
  affects: ['senders'],
  path: '',
  aspect,
  was,
  is,
});
