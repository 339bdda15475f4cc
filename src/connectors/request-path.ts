import { operationError } from './operation-error.ts';

/**
 * A path below a base URL. Whatever is in the path (it is often made from an event's data), the
 * address stays on the base's host and below the base's path.
 *
 * @throws TidegateError `operation_failed`, class `fatal`, for a path that is another address
 * (`https://…`, `//host`), climbs (`..`, encoded or not), or has a backslash, a fragment or a control
 * character.
 */
export function urlBelow(baseUrl: string, path: string): URL {
  const base = new URL(baseUrl);
  const reason = pathProblem(path);
  if (reason !== undefined) throw refused(reason);
  const root = base.pathname.replace(/\/+$/, '');
  const below = path === '' || /^[/?]/.test(path) ? path : `/${path}`;
  const url = new URL(`${base.origin}${root}${below}`);
  if (url.origin !== base.origin || !`${url.pathname}/`.startsWith(`${root}/`)) {
    throw refused('leaves the base URL');
  }
  return url;
}

function pathProblem(path: unknown): string | undefined {
  if (typeof path !== 'string') return `must be a string, got ${typeof path}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse.
  if (/[\u0000-\u0020\u007f\\#]/.test(path)) {
    return 'has a space, a backslash, a # or a control character: encode it with encodeURIComponent';
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(path) || path.startsWith('//')) {
    return 'is an address of its own; give a path such as /deals/17';
  }
  const segments = path.split('?', 1)[0]?.split('/') ?? [];
  for (const segment of segments) {
    const plain = decoded(segment);
    if (plain === undefined) return 'has a % that begins no escape: encode it as %25';
    if (plain.split(/[\\/]/).some((part) => part === '.' || part === '..')) {
      return 'has a . or .. segment';
    }
  }
  return undefined;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

const refused = (reason: string) =>
  operationError('fatal', `the path of the request ${reason}; nothing was sent`);
