import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, TidegateError } from '../model/error.ts';
import { TASK_QUEUE } from '../model/protocol.ts';
import type { Routes } from '../model/routes.ts';

/** As Temporal takes it, and as a person can read it. */
const Name = z
  .string({ error: 'must be text' })
  .regex(/^[!-~]{1,200}$/, 'must be 1 to 200 printable ASCII characters without spaces');

const Pattern = z
  .string({ error: 'must be text' })
  .regex(
    /^[A-Za-z0-9._*-]{1,64}$/,
    'must be a tenant, or a pattern with * for any characters, such as eu-*',
  );

const place = { taskQueue: Name.default(TASK_QUEUE), namespace: Name.optional() };

const File = z.strictObject({
  default: z.strictObject(place).default({ taskQueue: TASK_QUEUE }),
  rules: z
    .array(
      z.strictObject({
        tenants: z
          .array(Pattern, { error: 'must be a list of tenants' })
          .min(1, 'must name a tenant'),
        ...place,
      }),
      { error: 'must be a list of rules' },
    )
    .default([]),
});

/**
 * The routes of a file, which `TIDEGATE_ROUTES` names.
 *
 * @param path relative to the project's directory, or absolute.
 * @throws TidegateError `config_invalid` with every problem of the file at once; `details.problems`
 * lists them.
 */
export function readRoutes(directory: string, path: string): Routes {
  const file = resolve(directory, path);
  return parseRoutes(file, jsonOf(file));
}

/** @throws TidegateError `config_invalid` */
export function parseRoutes(file: string, json: unknown): Routes {
  const parsed = File.safeParse(json);
  if (!parsed.success) throw invalid(file, parsed.error.issues.flatMap(problemsOf));
  const { default: others, rules } = parsed.data;
  return {
    default: placed(others),
    rules: rules.map((rule) => ({ ...placed(rule), tenants: rule.tenants })),
  };
}

/** Without a namespace that is there and undefined. */
const placed = ({ taskQueue, namespace }: z.infer<z.ZodObject<typeof place>>) => ({
  taskQueue,
  ...(namespace !== undefined && { namespace }),
});

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw invalid(file, [`cannot be read as JSON: ${messageOf(error)}`]);
  }
}

function problemsOf(issue: z.core.$ZodIssue): readonly string[] {
  const path = issue.path.reduce<string>(
    (text, part) =>
      typeof part === 'number'
        ? `${text}[${part}]`
        : `${text}${text === '' ? '' : '.'}${String(part)}`,
    '',
  );
  if (issue.code !== 'unrecognized_keys') return [`${path === '' ? 'it' : path} ${issue.message}`];
  return issue.keys.map((key) => `${path === '' ? key : `${path}.${key}`} is not known here`);
}

function invalid(file: string, problems: readonly string[]): TidegateError {
  return new TidegateError(
    'config_invalid',
    `TIDEGATE_ROUTES names ${file}, which has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((problem) => `  ${problem}`).join('\n')}\nCorrect the file, then start again.`,
    {
      details: { problems: problems.map((problem) => ({ variable: 'TIDEGATE_ROUTES', problem })) },
    },
  );
}
