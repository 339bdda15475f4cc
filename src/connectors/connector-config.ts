import type { z } from 'zod';
import { readSecret, type SecretText } from '../secret-variable.ts';

/** Variables as a process has them; an empty one counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigProblem {
  readonly variable: string;
  /** What is wrong; never the value. */
  readonly problem: string;
}

export type ConnectorConfig =
  | { readonly status: 'ready'; readonly config: unknown; readonly secrets: readonly string[] }
  /** Not one required variable is set. */
  | { readonly status: 'unset'; readonly required: readonly string[] }
  | { readonly status: 'invalid'; readonly problems: readonly ConfigProblem[] };

/** `crmApi`, `baseUrl` → `TIDEGATE_CRM_API_BASE_URL`. */
export const configVariable = (connector: string, field: string): string =>
  `TIDEGATE_${upperSnake(connector)}_${upperSnake(field)}`;

const upperSnake = (camelCase: string): string =>
  camelCase
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase();

/**
 * A connector's configuration from the environment: each field from its variable, or from the file
 * that `<variable>_FILE` names (as container secrets are mounted). Text becomes a number or a boolean
 * where the schema wants one.
 */
export function readConnectorConfig(
  connector: { readonly name: string; readonly config: z.ZodObject },
  env: Environment,
): ConnectorConfig {
  const fields = Object.entries(connector.config.shape).map(([field, schema]) => ({
    field,
    schema,
    ...readSecret(configVariable(connector.name, field), env),
  }));
  const required = fields.filter(({ schema }) => !schemaOf(schema).safeParse(undefined).success);
  if (required.length > 0 && required.every(({ status }) => status === 'unset')) {
    return {
      status: 'unset',
      required: required.map(({ field }) => configVariable(connector.name, field)),
    };
  }
  const unreadable = fields.flatMap((field) =>
    field.status === 'unreadable' ? [{ variable: field.variable, problem: field.problem }] : [],
  );
  const values = fields.flatMap((field) =>
    field.status === 'set' ? [[field.field, fromText(field.text, field.schema)] as const] : [],
  );
  const parsed = connector.config.safeParse(Object.fromEntries(values));
  const texts = fields.flatMap((field) => (field.status === 'set' ? [field.text] : []));
  const problems = [
    ...unreadable,
    ...(parsed.error?.issues ?? [])
      .map((issue) => issueProblem(connector.name, issue, { env, texts }))
      .filter(({ variable }) => !unreadable.some((other) => other.variable === variable)),
    ...(parsed.success ? addressProblems(connector.name, parsed.data) : []),
  ];
  if (problems.length > 0 || !parsed.success) return { status: 'invalid', problems };
  return { status: 'ready', config: parsed.data, secrets: secretsOf(parsed.data, fields) };
}

/** The general type of a field: zod's own types of a shape leave out the methods. */
const schemaOf = (schema: z.core.$ZodType): z.ZodType => schema as z.ZodType;

const WRAPPERS: ReadonlySet<string> = new Set([
  'optional',
  'nullable',
  'default',
  'prefault',
  'readonly',
  'catch',
  'nonoptional',
]);

/** The type of a field below `.optional()`, `.default()` and their like. */
function plainType(schema: z.core.$ZodType): string {
  let { def } = schema._zod as { def: { type: string; innerType?: z.core.$ZodType } };
  while (WRAPPERS.has(def.type) && def.innerType !== undefined) {
    def = def.innerType._zod.def as typeof def;
  }
  return def.type;
}

/** Text as the schema's type; text that is no such value stays text, and the schema says what is wrong. */
function fromText(text: string, schema: z.core.$ZodType): unknown {
  const type = plainType(schema);
  if (type === 'number' && /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())) {
    return Number(text);
  }
  if (type === 'boolean' && /^(true|1)$/i.test(text.trim())) return true;
  if (type === 'boolean' && /^(false|0)$/i.test(text.trim())) return false;
  return text;
}

function issueProblem(
  connector: string,
  issue: z.core.$ZodIssue,
  { env, texts }: { readonly env: Environment; readonly texts: readonly string[] },
): ConfigProblem {
  const [field] = issue.path;
  if (field === undefined) {
    return { variable: `TIDEGATE_${upperSnake(connector)}_*`, problem: shownMessage(issue, texts) };
  }
  const variable = configVariable(connector, String(field));
  const isSet = (env[variable] || env[`${variable}_FILE`] || '') !== '';
  if (!isSet) return { variable, problem: 'is missing' };
  return { variable, problem: `is not valid: ${shownMessage(issue, texts)}` };
}

/** A schema's own message may repeat the value, which may be a secret: then only its code is shown. */
function shownMessage({ message, code }: z.core.$ZodIssue, texts: readonly string[]): string {
  return texts.some((text) => message.includes(text)) ? (code ?? 'refused') : message;
}

/** `call.fetch` puts paths below `baseUrl` and a header with the token beside it. */
function addressProblems(connector: string, config: unknown): readonly ConfigProblem[] {
  const { baseUrl } = config as { readonly baseUrl?: unknown };
  if (typeof baseUrl !== 'string') return [];
  const variable = configVariable(connector, 'baseUrl');
  const problem = (text: string): readonly ConfigProblem[] => [{ variable, problem: text }];
  if (!URL.canParse(baseUrl)) return problem('must be an address such as https://api.example.com');
  const { protocol, username, password, search, hash } = new URL(baseUrl);
  if (!/^https?:$/.test(protocol)) return problem('must begin with https:// or http://');
  if (username !== '' || password !== '') return problem('must have no user and password in it');
  if (search !== '' || hash !== '') return problem('must have no ? or # in it');
  return [];
}

/** What errors must not repeat: all text but plain addresses. */
function secretsOf(
  config: unknown,
  fields: readonly (SecretText & { readonly field: string })[],
): readonly string[] {
  const values = config as Readonly<Record<string, unknown>>;
  return fields.flatMap((field) =>
    field.status === 'set' &&
    typeof values[field.field] === 'string' &&
    !/^https?:\/\/[^@?]*$/.test(field.text)
      ? [field.text]
      : [],
  );
}
