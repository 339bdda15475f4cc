import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';

/** What the tests read of a service of docker-compose.yml. */
export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly restart?: string;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: {
    readonly resources: { readonly limits: Readonly<Record<'cpus' | 'memory' | 'pids', unknown>> };
  };
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
}

const root = new URL('../../', import.meta.url);
export const repositoryRoot: string = fileURLToPath(root);

/** YAML as Compose reads it: with merge keys. */
export const readYaml = <Value>(path: string): Value =>
  load(readFileSync(new URL(path, root), 'utf8'), {
    schema: CORE_SCHEMA.withTags(mergeTag),
  }) as Value;

/** docker-compose.yml with its variables replaced by their values in `environment`. */
export function readCompose(environment: Readonly<Record<string, string>> = {}): Compose {
  return interpolated(readYaml<Compose>('docker-compose.yml'), environment);
}

function interpolated<Value>(value: Value, environment: Readonly<Record<string, string>>): Value {
  if (typeof value === 'string') return interpolatedText(value, environment) as Value;
  if (Array.isArray(value)) return value.map((item) => interpolated(item, environment)) as Value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, interpolated(item, environment)]),
  ) as Value;
}

/** The forms that the file may use: `$$`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`. */
const VARIABLE = /\$(?:(\$)|\{(\w+)(?::([-?])([^}]*))?\}|(.?))/g;

export const interpolatedText = (
  text: string,
  environment: Readonly<Record<string, string>>,
): string =>
  text.replace(
    VARIABLE,
    (whole, dollar?: string, name?: string, operator?: string, rest?: string) => {
      if (dollar !== undefined) return '$';
      if (name === undefined) throw new Error(`${JSON.stringify(whole)} is no variable: ${text}`);
      const value = environment[name] ?? '';
      if (value !== '') return value;
      if (operator === '-') return rest ?? '';
      if (operator === '?') throw new Error(`${name} ${rest}`);
      throw new Error(`${name} has no default: ${text}`);
    },
  );
