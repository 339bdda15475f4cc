import { parseArgs } from 'node:util';
import { type Environment, readConfig, withEnvFile } from '../config.ts';
import { type Duration, durationMs } from '../model/duration.ts';
import { TidegateError } from '../model/error.ts';

const USAGE = `tidegate keys <command> [--url <address>]

  create --name <who> (--tenant <tenant> | --all-tenants) --action <action> …
         [--type <pattern>] … [--expires-in <duration>]
                        make a key; it is printed this once
  list                  the keys, the newest first
  rotate <id> [--overlap <duration>]
                        make a new key for the same; the old one ends after the overlap, by default now
  revoke <id>           end a key for good

Actions: events:write, operate:read, operate:write, keys:write. Patterns: invoice.paid, invoice.*, * (default).
Durations: 90d, 12h, 30m. The address is by default http://127.0.0.1 and PORT; TIDEGATE_TOKEN, or a key with
keys:write in its place, is what is sent, from the environment or .env.`;

const OPTIONS = {
  url: { type: 'string' },
  name: { type: 'string' },
  tenant: { type: 'string' },
  'all-tenants': { type: 'boolean' },
  action: { type: 'string', multiple: true },
  type: { type: 'string', multiple: true },
  'expires-in': { type: 'string' },
  overlap: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** A key as the operator API shows it, as far as it is printed here. */
interface Key {
  readonly id: string;
  readonly name: string;
  readonly tenant: string | null;
  readonly types: readonly string[];
  readonly actions: readonly string[];
  readonly state: string;
  readonly expiresAt?: string;
  readonly lastUsedAt?: string;
  /** Where it was made just now. */
  readonly key?: string;
}

/**
 * `tidegate keys …`, with its own arguments, over the operator API. Resolves to the exit code.
 *
 * @throws TidegateError with the code that the API answers; `duration_invalid`; `config_invalid` when nothing answers at the address.
 */
export async function keys(args: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: OPTIONS,
  });
  const [command, id] = positionals;
  const call = caller(values.url);
  const now = Date.now();
  if (values.help === true) return usage(0);
  switch (command) {
    case 'create': {
      const { name, action, type, tenant } = values;
      const isForAll = values['all-tenants'] === true;
      if (name === undefined || action === undefined || (tenant === undefined) !== isForAll) break;
      const ends = after(now, values['expires-in'], '--expires-in');
      printMade(
        await call('POST', '/keys', {
          name,
          tenant: tenant ?? null,
          actions: action,
          ...(type && { types: type }),
          ...(ends && { expiresAt: ends }),
        }),
      );
      return 0;
    }
    case 'list':
      await printAll(call);
      return 0;
    case 'rotate': {
      if (id === undefined) break;
      const oldUntil = after(now, values.overlap, '--overlap');
      printMade(await call('POST', `${pathOf(id)}/rotate`, { ...(oldUntil && { oldUntil }) }));
      return 0;
    }
    case 'revoke':
      if (id === undefined) break;
      console.log(lineOf(await call('POST', `${pathOf(id)}/revoke`, {})));
      return 0;
  }
  return usage(2);
}

function usage(code: number): number {
  console.log(USAGE);
  return code;
}

interface Problem {
  readonly code?: TidegateError['code'];
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

type Call = <Answer = Key>(method: string, path: string, body?: unknown) => Promise<Answer>;

const pathOf = (id: string): string => `/keys/${encodeURIComponent(id)}`;

const after = (nowMs: number, duration: string | undefined, option: string): string | undefined =>
  duration === undefined
    ? undefined
    : new Date(nowMs + durationMs(duration as Duration, option)).toISOString();

/** The key alone on stdout, so that it can be piped to where secrets are kept. */
function printMade(made: Key): void {
  console.error(lineOf(made));
  console.error('The key, which is not shown again:');
  console.log(made.key);
}

async function printAll(call: Call): Promise<void> {
  let next: string | undefined = '';
  while (next !== undefined) {
    const query: string = next === '' ? '' : `?after=${encodeURIComponent(next)}`;
    const page = await call<{ rows: readonly Key[]; next?: string }>('GET', `/keys${query}`);
    for (const key of page.rows) console.log(lineOf(key));
    next = page.next;
  }
}

/** `3f…  active  billing-service  tenant acme  invoice.*  events:write  until 2027-01-01T00:00:00.000Z` */
function lineOf({ id, state, name, tenant, types, actions, expiresAt, lastUsedAt }: Key): string {
  return [
    id,
    state,
    name,
    tenant === null ? 'every tenant' : `tenant ${tenant}`,
    types.join(','),
    actions.join(','),
    expiresAt === undefined ? 'no end' : `until ${expiresAt}`,
    lastUsedAt === undefined ? 'never used' : `last used ${lastUsedAt}`,
  ].join('  ');
}

function caller(address: string | undefined): Call {
  const env: Environment = withEnvFile('.', process.env);
  const { port, token } = readConfig(env);
  const base = `${(address ?? `http://127.0.0.1:${port}`).replace(/\/+$/, '')}/api/v1`;
  return async (method, path, body) => {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        'Content-Type': 'application/json',
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw new TidegateError(
        'config_invalid',
        `Nothing answers at ${base}: start Tidegate, or name its address with --url.`,
        { cause: error },
      );
    });
    const answer: unknown = await response.json().catch(() => ({}));
    if (response.ok) return answer as never;
    throw refused(answer as Problem);
  };
}

/** The problem that the API answered, as an error of this process. */
function refused(problem: Problem): TidegateError {
  const parts = (problem.errors ?? []).map(({ path, message }) => `\n  ${path} ${message}`);
  return new TidegateError(
    problem.code ?? 'internal_error',
    `${problem.detail ?? 'What answers there is not the operator API.'}${parts.join('')}`,
  );
}
