import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { zodProblems } from '../contracts/problems.ts';
import { messageOf, TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import type { Retention } from '../model/retention.ts';

const Days = z
  .number({ error: 'must be a number of days' })
  .min(1, 'must be at least 1')
  .max(36_500, 'must be at most 36500');

const Patterns = z
  .array(z.string().min(1).max(LIMITS.attributeCharactersMax), { error: 'must be a list of names' })
  .min(1, 'must name one, or "*"')
  .default(['*']);

const File = z.strictObject({
  rules: z
    .array(z.strictObject({ tenants: Patterns, types: Patterns, days: Days }), {
      error: 'must be a list of rules',
    })
    .max(LIMITS.retentionRulesMax)
    .default([]),
  default: z.strictObject({ days: Days }).optional(),
  rememberDays: Days.default(400),
});

/**
 * The rules of a file, which `TIDEGATE_RETENTION` names.
 *
 * @param path relative to the project's directory, or absolute.
 * @throws TidegateError `config_invalid` with every problem of the file at once.
 */
export function readRetention(directory: string, path: string): Retention {
  const file = resolve(directory, path);
  return parseRetention(file, jsonOf(file));
}

/** @throws TidegateError `config_invalid` */
export function parseRetention(file: string, json: unknown): Retention {
  const parsed = File.safeParse(json);
  if (!parsed.success) {
    const problems = zodProblems(parsed.error.issues);
    throw invalid(
      file,
      problems.map(({ path, message }) => `${path} ${message}`.trim()),
    );
  }
  const { rules, default: others, rememberDays } = parsed.data;
  const longest = Math.max(0, others?.days ?? 0, ...rules.map(({ days }) => days));
  if (rememberDays < longest) {
    throw invalid(file, [`rememberDays must be at least ${longest}, the longest of the rules`]);
  }
  return { rules, rememberDays, ...(others && { days: others.days }) };
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw invalid(file, [`cannot be read as JSON: ${messageOf(error)}`]);
  }
}

const invalid = (file: string, problems: readonly string[]): TidegateError =>
  new TidegateError(
    'config_invalid',
    `${file}, which TIDEGATE_RETENTION names: ${problems.join('; ')}.`,
    { details: { problems } },
  );
