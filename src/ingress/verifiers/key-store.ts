import { LIMITS } from '../../model/limits.ts';

/** Reads an address that a verifier has pinned; a text, or a throw. */
export type FetchText = (url: string) => Promise<string>;

/** Certificates and key sets that were fetched, few and not for long. */
export interface KeyStore {
  /**
   * The text behind an address, or undefined when it cannot be had now.
   *
   * @param notBeforeMs an older copy is fetched again: keys have changed since.
   */
  read(url: string, nowMs: number, notBeforeMs?: number): Promise<string | undefined>;
}

const KEPT_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;

/**
 * Bounded on purpose: a request that is not verified yet decides what is fetched, so it must not fill the
 * memory, nor have us call out without end.
 */
export function keyStore(fetchText: FetchText): KeyStore {
  const kept = new Map<string, { readonly text: string; readonly atMs: number }>();
  const underway = new Map<string, Promise<string | undefined>>();
  let minute = 0;
  let fetches = 0;

  function mayFetch(nowMs: number): boolean {
    const current = Math.floor(nowMs / MINUTE_MS);
    if (current !== minute) fetches = 0;
    minute = current;
    fetches += 1;
    return fetches <= LIMITS.verificationKeyFetchesMax;
  }

  function keep(url: string, text: string, atMs: number): void {
    kept.delete(url);
    kept.set(url, { text, atMs });
    const [oldest] = kept.keys();
    if (kept.size > LIMITS.verificationKeysKeptMax && oldest !== undefined) kept.delete(oldest);
  }

  async function fetchAndKeep(url: string, nowMs: number): Promise<string | undefined> {
    try {
      const text = await fetchText(url);
      keep(url, text, nowMs);
      return text;
    } catch {
      // What failed is not kept: the next delivery tries again.
      return undefined;
    } finally {
      underway.delete(url);
    }
  }

  return {
    async read(url, nowMs, notBeforeMs = -Infinity) {
      const found = kept.get(url);
      const usable = found !== undefined && nowMs - found.atMs < KEPT_MS ? found : undefined;
      if (usable !== undefined && usable.atMs >= notBeforeMs) return usable.text;
      let fetching = underway.get(url);
      if (fetching === undefined) {
        if (!mayFetch(nowMs)) return usable?.text;
        fetching = fetchAndKeep(url, nowMs);
        underway.set(url, fetching);
      }
      return (await fetching) ?? usable?.text;
    },
  };
}

const FETCH_MS_MAX = 5_000;

/** Over HTTPS, without redirects, bounded in time and size. */
export const fetchText: FetchText = async (url) => {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_MS_MAX),
  });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > LIMITS.verificationKeysBytesMax) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  if (!response.ok) throw new Error(`the answer has the status ${response.status}`);
  return Buffer.concat(chunks).toString('utf8');
};
