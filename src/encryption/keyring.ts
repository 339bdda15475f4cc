import { hkdfSync } from 'node:crypto';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { readSecretList } from '../secret-variable.ts';

/** The keys that event data is encrypted with. */
export interface Keyring {
  /** The id of the key that encrypts; undefined when nothing is encrypted. */
  readonly current: string | undefined;
  /**
   * The key of one tenant's data, derived from a master key.
   * @throws TidegateError `encryption_key_unknown`
   */
  dataKey(keyId: string, tenant: string): Uint8Array;
}

type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLE = 'TIDEGATE_ENCRYPTION_KEYS';
const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;
const KEY_BYTES = 32;

/** Encrypts nothing, and reads nothing that is encrypted. */
export const noKeys = (): Keyring => makeKeyring([]);

/**
 * The keys of `TIDEGATE_ENCRYPTION_KEYS`, `<id>:<32 bytes in base64>` separated by commas, or of the file
 * that `TIDEGATE_ENCRYPTION_KEYS_FILE` names, one a line. The first encrypts, all decrypt.
 *
 * @throws TidegateError `config_invalid`; the message never repeats a key.
 */
export function readKeyring(environment: Environment): Keyring {
  const keys = readSecretList(VARIABLE, environment).map(parseKey);
  const ids = new Set(keys.map(({ id }) => id));
  if (ids.size < keys.length) throw invalid(VARIABLE, 'has two keys of one id');
  if (keys.length > LIMITS.encryptionKeysMax) {
    throw invalid(VARIABLE, `has more than ${LIMITS.encryptionKeysMax} keys`);
  }
  return makeKeyring(keys);
}

interface MasterKey {
  readonly id: string;
  readonly secret: Uint8Array;
}

function makeKeyring(keys: readonly MasterKey[]): Keyring {
  const masters = new Map(keys.map(({ id, secret }) => [id, secret]));
  const derived = new Map<string, Uint8Array>();
  return {
    current: keys[0]?.id,
    dataKey(keyId, tenant) {
      const name = `${tenant}\0${keyId}`;
      const known = derived.get(name);
      if (known !== undefined) return known;
      const master = masters.get(keyId);
      if (master === undefined) throw unknownKey(keyId);
      const key = derive(master, name);
      if (derived.size >= LIMITS.dataKeysKeptMax) derived.clear();
      derived.set(name, key);
      return key;
    },
  };
}

/** RFC 5869. The master keys are random, so they need no salt. */
const derive = (master: Uint8Array, name: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', master, '', `tidegate data key\0${name}`, KEY_BYTES));

const unknownKey = (keyId: string): TidegateError =>
  new TidegateError(
    'encryption_key_unknown',
    `This is encrypted with the key ${JSON.stringify(keyId)}, which this process does not have: add it to ${VARIABLE}, behind the one that encrypts, and restart.`,
    { details: { keyId } },
  );

function parseKey(text: string): MasterKey {
  const [, id = '', base64 = ''] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  const secret = Buffer.from(base64, 'base64');
  // Buffer.from drops what is not base64 in silence.
  const isKey = secret.length === KEY_BYTES && secret.toString('base64') === base64;
  if (KEY_ID.test(id) && isKey) return { id, secret: new Uint8Array(secret) };
  throw invalid(
    VARIABLE,
    `has something that is no key: write <id>:<${KEY_BYTES} bytes in base64>, an id of letters, digits, dots, dashes and underscores; make one with: openssl rand -base64 ${KEY_BYTES}`,
  );
}

const invalid = (variable: string, problem: string): TidegateError =>
  new TidegateError('config_invalid', `${variable} ${problem}.`);
