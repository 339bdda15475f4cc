import { createRequire } from 'node:module';

export interface GithubExample {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>> & { readonly action?: string };
}

/** Real payloads, as GitHub's own SDK publishes them. */
const definitions = createRequire(import.meta.url)(
  '@octokit/webhooks-examples/api.github.com/index.json',
) as readonly { readonly name: string; readonly examples: readonly GithubExample['payload'][] }[];

export const githubExamples: readonly GithubExample[] = definitions.flatMap(({ name, examples }) =>
  examples.map((payload) => ({ name, payload })),
);

/** The first example of an event, with parts of it replaced. */
export function githubExample(name: string, fits: (payload: GithubExample['payload']) => boolean) {
  const found = githubExamples.find((example) => example.name === name && fits(example.payload));
  if (found === undefined) throw new Error(`no example of ${name}`);
  return found;
}
