import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type ContractChange, compareContracts } from '../contracts/compare-contracts.ts';
import {
  type ContractsLock,
  LOCK_FILE,
  lockOf,
  lockText,
  parseLock,
} from '../contracts/contracts-lock.ts';
import { TidegateError } from '../model/error.ts';
import { git } from './git.ts';
import { loadProject } from './project.ts';

const USAGE = `tidegate contracts <check|release> [directory]

  check [dir] [--against <ref>]   compare events.ts with the released contracts in git; exit 1 when
                                  senders or readers would break
  release [dir]                   write contracts.lock.json: these contracts are released

The ref defaults to the merge base with origin/main, without one to HEAD; without git the file on disk
is compared with.`;

/**
 * `tidegate contracts …`, with its own arguments. Resolves to the exit code.
 *
 * @throws TidegateError `contracts_broken` when something breaks, `contracts_lock_invalid` when the
 * released contracts cannot be read.
 */
export async function contracts(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { against: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const [command, directory = '.'] = positionals;
  const isCommand = command === 'check' || command === 'release';
  if (values.help === true || !isCommand || positionals.length > 2) {
    console.log(USAGE);
    return values.help === true ? 0 : 2;
  }
  const { catalogue } = await loadProject(directory);
  const now = lockOf(catalogue);
  if (command === 'release') release(directory, now);
  else await check(directory, now, values.against);
  return 0;
}

function release(directory: string, now: ContractsLock): void {
  writeFileSync(join(directory, LOCK_FILE), lockText(now));
  const types = Object.keys(now.contracts).join(', ');
  console.log(`${join(directory, LOCK_FILE)} has the contracts of ${types}. Commit it.`);
}

async function check(
  directory: string,
  now: ContractsLock,
  against: string | undefined,
): Promise<void> {
  const released = await findReleased(directory, against);
  if (released.text === undefined) {
    console.log(
      `There are no released contracts in ${released.place}: nothing to compare. Write them with tidegate contracts release.`,
    );
    return;
  }
  const lock = parseLock(released.text, released.place);
  const changes = compareContracts(lock, now, Date.now());
  console.log(`Compared with ${released.place}:`);
  for (const change of changes) console.log(lineOf(change));
  const harmful = changes.filter(({ kind }) => kind !== 'compatible');
  if (harmful.length === 0) {
    console.log(changes.length === 0 ? '  no change' : 'Nothing breaks.');
    return;
  }
  throw new TidegateError(
    'contracts_broken',
    `${harmful.length} of ${changes.length} changes break senders or readers of released contracts, or may. Put them back, or make a new version with an upcast from the one before.`,
  );
}

interface Released {
  readonly place: string;
  /** Undefined where there is no such file. */
  readonly text: string | undefined;
}

/** The lock file of the ref, else of where this branch began, else the one on disk. */
async function findReleased(directory: string, against: string | undefined): Promise<Released> {
  const folder = resolve(directory);
  const isRepository = (await git(folder, ['rev-parse', '--is-inside-work-tree'])) !== undefined;
  if (!isRepository && against !== undefined) {
    throw unreadable(`${directory} is not in a git repository, so there is no ${against}.`);
  }
  if (!isRepository) {
    const path = join(directory, LOCK_FILE);
    const text = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
    return { place: `${path} on disk, because this is not a git repository`, text };
  }
  const { commit, why } = await findCommit(folder, against);
  const place = `${LOCK_FILE} of ${commit.slice(0, 12)} (${why})`;
  const listed = await git(folder, ['ls-tree', '--name-only', commit, '--', LOCK_FILE]);
  if (listed === undefined) throw unreadable(`git cannot list the files of ${place}.`);
  if (listed === '') return { place, text: undefined };
  const text = await git(folder, ['show', `${commit}:./${LOCK_FILE}`]);
  if (text === undefined) throw unreadable(`git cannot show ${place}.`);
  return { place, text };
}

const MAIN = 'origin/main';

async function findCommit(
  folder: string,
  against: string | undefined,
): Promise<{ readonly commit: string; readonly why: string }> {
  const ref = against ?? 'HEAD';
  const commit = await git(folder, ['rev-parse', '--verify', '--quiet', `${ref}^{commit}`]);
  // A ref that reads like an option can make git say something else.
  if (commit === undefined || !/^[\da-f]{40,64}$/.test(commit)) {
    throw unreadable(
      `git knows no commit ${ref} here. Name one that is fetched with --against; in CI, fetch the whole history.`,
    );
  }
  if (against !== undefined) return { commit, why: against };
  const base = await git(folder, ['merge-base', MAIN, 'HEAD']);
  return base === undefined
    ? { commit, why: `HEAD, because there is no merge base with ${MAIN}` }
    : { commit: base, why: `the merge base with ${MAIN}` };
}

const unreadable = (message: string): TidegateError =>
  new TidegateError('contracts_lock_invalid', message);

const WORDS = { breaking: 'BREAKING', unclear: 'CANNOT TELL', compatible: 'compatible' } as const;

/** `  BREAKING deal.closed version 1, data.stage: values was ["won","lost"], is ["won"] (senders)` */
function lineOf({ kind, type, version, path, aspect, was, is, affects }: ContractChange): string {
  const where = path === '' ? '' : path.startsWith('[') ? `, data${path}` : `, data.${path}`;
  const who = kind === 'compatible' ? '' : ` (${affects.join(' and ')})`;
  return `  ${WORDS[kind]} ${type} version ${version}${where}: ${aspect} was ${shown(was)}, is ${shown(is)}${who}`;
}

const SHOWN_CHARACTERS_MAX = 160;

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)} …`;
}
