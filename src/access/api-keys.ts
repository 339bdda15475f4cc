/** API keys: their text, and who holds one. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Journal } from '../journal/journal.ts';
import type { ApiKeyRow, StoredApiKey } from '../journal/rows.ts';
import { LIMITS } from '../model/limits.ts';
import { type Caller, isAction } from './caller.ts';

/** A key as it is made: its text is shown once and kept nowhere. */
export interface MadeApiKey {
  readonly id: string;
  readonly text: string;
  /** SHA-256 of the secret, in hex: all that is stored. */
  readonly hash: string;
}

const ID_BYTES = 8;
const SECRET_BYTES = 32;
/** `tg_<id>_<secret>`, with a checksum of what is before it: scanners of secrets find it by shape. */
const KEY = /^(tg_([\da-f]{16})_([\da-f]{64}))([\da-f]{8})$/;
const CHECKSUM_CHARACTERS = 8;

export function makeApiKey(): MadeApiKey {
  const id = randomBytes(ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('hex');
  const text = `tg_${id}_${secret}`;
  return { id, text: `${text}${checksum(text)}`, hash: sha256(secret) };
}

/** The id of a key, and what its secret hashes to; undefined for a text that is no key. */
export function readApiKey(text: string): Pick<MadeApiKey, 'id' | 'hash'> | undefined {
  const [, body, id, secret, sum] = KEY.exec(text) ?? [];
  if (body === undefined || id === undefined || secret === undefined) return undefined;
  // A mistyped key costs no look-up.
  return sum === checksum(body) ? { id, hash: sha256(secret) } : undefined;
}

export const isLikeApiKey = (text: string): boolean => text.startsWith('tg_');

/** What a key is at a moment. */
export type ApiKeyState = 'active' | 'pending' | 'expired' | 'revoked';

export function apiKeyState(
  { notBefore, expiresAt, revokedAt }: Pick<ApiKeyRow, 'notBefore' | 'expiresAt' | 'revokedAt'>,
  now: Date,
): ApiKeyState {
  if (revokedAt !== undefined) return 'revoked';
  if (expiresAt !== undefined && now.getTime() >= Date.parse(expiresAt)) return 'expired';
  if (notBefore !== undefined && now.getTime() < Date.parse(notBefore)) return 'pending';
  return 'active';
}

export type HeldKey =
  | { readonly status: 'valid'; readonly caller: Caller }
  /** No key, or not one of ours. */
  | { readonly status: 'unknown' }
  /** Ours, at the wrong time: only its holder is told. */
  | { readonly status: Exclude<ApiKeyState, 'active'>; readonly id: string };

/** Where keys are kept. */
export type ApiKeyStore = Pick<Journal['apiKeys'], 'find' | 'markUsed'>;

interface Cached {
  /** Before it was read: a revocation that came later holds within `LIMITS.apiKeyCacheMs`. */
  readonly readAtMs: number;
  readonly key: Promise<StoredApiKey | undefined>;
}

/**
 * Who holds a key. Keys are kept in memory for `LIMITS.apiKeyCacheMs`, so that a request costs no query.
 *
 * @param onUseLost told when the use of a key could not be noted, which refuses nobody.
 */
export function apiKeyHolders(
  store: ApiKeyStore,
  onUseLost: (error: unknown) => void,
): (text: string, now: Date) => Promise<HeldKey> {
  const cache = new Map<string, Cached>();
  const usedAtMs = new Map<string, number>();

  function find(id: string, nowMs: number): Promise<StoredApiKey | undefined> {
    const cached = cache.get(id);
    const ageMs = nowMs - (cached?.readAtMs ?? Number.NEGATIVE_INFINITY);
    if (cached !== undefined && ageMs >= 0 && ageMs < LIMITS.apiKeyCacheMs) return cached.key;
    const key = store.find(id);
    keep(cache, id, { readAtMs: nowMs, key });
    // Ids that anybody can make up must not stay, nor a failure.
    const forget = (): void => void (cache.get(id)?.key === key && cache.delete(id));
    key.then((found) => found === undefined && forget(), forget);
    return key;
  }

  function noteUse(id: string, { lastUsedAt }: ApiKeyRow, now: Date): void {
    const known = usedAtMs.get(id) ?? Date.parse(lastUsedAt ?? '1970-01-01T00:00:00Z');
    if (now.getTime() - known < LIMITS.apiKeyUseMs) return;
    keep(usedAtMs, id, now.getTime());
    store.markUsed(id, now).catch(onUseLost);
  }

  return async (text, now) => {
    const read = readApiKey(text);
    const key = read && (await find(read.id, now.getTime()));
    if (read === undefined || key === undefined || !isSame(read.hash, key.hash)) {
      return { status: 'unknown' };
    }
    const state = apiKeyState(key, now);
    if (state !== 'active') return { status: state, id: key.id };
    noteUse(key.id, key, now);
    return { status: 'valid', caller: callerOf(key) };
  };
}

/** Keeps at most `LIMITS.apiKeysCachedMax`, the latest. */
function keep<Value>(map: Map<string, Value>, id: string, value: Value): void {
  map.delete(id);
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > LIMITS.apiKeysCachedMax && oldest !== undefined) map.delete(oldest);
}

const callerOf = ({ name, tenant, types, actions }: ApiKeyRow): Caller => ({
  id: name,
  kind: 'api-key',
  tenant,
  types,
  actions: actions.filter(isAction),
});

const isSame = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const checksum = (text: string): string => sha256(text).slice(0, CHECKSUM_CHARACTERS);
