/** API keys over the operator API. A key's text is in the answer that makes it, and nowhere else. */
import type { Request } from 'express';
import { z } from 'zod';
import { type ApiKeyState, apiKeyState, makeApiKey } from '../access/api-keys.ts';
import { callerOf } from '../access/authenticate.ts';
import {
  ACTIONS,
  beyond,
  type Caller,
  type Grant,
  isAction,
  isCallerName,
  isTypePattern,
  maySee,
} from '../access/caller.ts';
import type { Problem } from '../http/problem.ts';
import type { Journal } from '../journal/journal.ts';
import type { ApiKeyRow, Paged } from '../journal/rows.ts';
import { TidegateError } from '../model/error.ts';
import { LIMITS } from '../model/limits.ts';
import { isTenant } from '../model/run.ts';
import { actorOf } from './actor.ts';
import { type Handler, issuesOf, listQuery, pathParameter } from './handler.ts';

/** What the handlers of keys need. */
export interface KeysContext {
  readonly journal: Pick<Journal, 'apiKeys' | 'audit'>;
  readonly now: () => Date;
}

/** A key as this API shows it. */
export interface ShownApiKey extends ApiKeyRow {
  readonly state: ApiKeyState;
}
export interface CreatedApiKey extends ShownApiKey {
  /** The key itself: `tg_…`, what its holder sends as bearer token. Shown this once. */
  readonly key: string;
}

/** `GET /keys`: the newest first. */
export const listKeys =
  ({ journal, now }: KeysContext): Handler =>
  async (request): Promise<Paged<ShownApiKey>> => {
    const { filter, page } = listQuery(request, ['tenant']);
    const { rows, ...rest } = await journal.apiKeys.list(filter, page);
    return { rows: rows.map((row) => shown(row, now())), ...rest };
  };

/** PostgreSQL takes no year 0 and Date no year 10000: what nobody means is refused here. */
const Time = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 time' })
  .regex(/^2/, 'must be a time of this millennium')
  .transform((text) => new Date(text));

/** The body, for the handler and for the OpenAPI document. */
export const KeyBody = z.strictObject({
  name: z.string().refine(isCallerName, {
    error: `must be text of 1 to ${LIMITS.approverCharactersMax} characters: who holds the key`,
  }),
  tenant: z
    .string()
    .refine(isTenant, 'must be letters, digits, dots, dashes and underscores')
    .nullable(),
  types: z
    .array(
      z.string().refine(isTypePattern, 'must be an event type, a pattern such as invoice.*, or *'),
    )
    .min(1)
    .max(LIMITS.apiKeyTypesMax)
    .default(['*']),
  actions: z.array(z.enum(ACTIONS, { error: `must be one of ${ACTIONS.join(', ')}` })).min(1),
  notBefore: Time.optional(),
  expiresAt: Time.optional(),
});

/** `POST /keys` */
export const createKey =
  ({ journal, now }: KeysContext): Handler =>
  async (request): Promise<CreatedApiKey> => {
    const caller = callerOf(request);
    const { notBefore, expiresAt, ...grant } = valid(KeyBody, request.body);
    const at = now();
    assertEnds(expiresAt, notBefore !== undefined && notBefore > at ? notBefore : at);
    assertWithin(caller, grant);
    const made = makeApiKey();
    const createdBy = await note(journal, request, {
      action: 'key.create',
      key: { ...grant, id: made.id },
    });
    const row = await journal.apiKeys.create({
      ...grant,
      id: made.id,
      hash: made.hash,
      createdAt: at,
      createdBy,
      ...(notBefore && { notBefore }),
      ...(expiresAt && { expiresAt }),
    });
    return { ...shown(row, at), key: made.text };
  };

/** The body, for the handler and for the OpenAPI document. */
export const RotateBody = z.strictObject({ oldUntil: Time.optional(), expiresAt: Time.optional() });

/** `POST /keys/:id/rotate`: a new key for the same; the old one ends at `oldUntil`, by default now. */
export const rotateKey =
  ({ journal, now }: KeysContext): Handler =>
  async (request): Promise<CreatedApiKey> => {
    const old = await findKey(journal, request);
    const { oldUntil, expiresAt } = valid(RotateBody, request.body ?? {});
    const at = now();
    assertEnds(expiresAt, at);
    if (['expired', 'revoked'].includes(apiKeyState(old, at))) throw inactive(old);
    const made = makeApiKey();
    const end = expiresAt ?? sameLife(old, at);
    const createdBy = await note(journal, request, {
      action: 'key.rotate',
      key: old,
      newKey: made.id,
    });
    const row = await journal.apiKeys.replace(old.id, {
      id: made.id,
      hash: made.hash,
      createdAt: at,
      createdBy,
      oldUntil: oldUntil ?? at,
      ...(end && { expiresAt: end }),
    });
    // It may have ended meanwhile.
    if (row === undefined) throw inactive(old);
    return { ...shown(row, at), key: made.text };
  };

const inactive = ({ id }: ApiKeyRow): TidegateError =>
  new TidegateError(
    'key_inactive',
    `The key ${id} has expired or was revoked, so it cannot be rotated: make a new one.`,
  );

/** Notes what is about to be done, and gives who does it. */
async function note(
  { audit }: Pick<Journal, 'audit'>,
  request: Request,
  what: {
    readonly action: `key.${'create' | 'rotate' | 'revoke'}`;
    readonly key: Pick<ApiKeyRow, 'id' | 'name'> & Grant;
    readonly newKey?: string;
  },
): Promise<string> {
  const { action, newKey } = what;
  const { id, name, tenant, types, actions } = what.key;
  const actor = actorOf(request, keyInvalid) ?? callerOf(request).id;
  const details = { name, types, actions, ...(newKey && { newKey }) };
  await audit.record({ actor, action, target: `key ${id}`, details, ...(tenant && { tenant }) });
  return actor;
}

/** When a key ends that lives as long as the one before was to; undefined for ever. */
export function sameLife(
  { createdAt, notBefore, expiresAt }: Pick<ApiKeyRow, 'createdAt' | 'notBefore' | 'expiresAt'>,
  now: Date,
): Date | undefined {
  if (expiresAt === undefined) return undefined;
  return new Date(now.getTime() + Date.parse(expiresAt) - Date.parse(notBefore ?? createdAt));
}

/** `POST /keys/:id/revoke`: for good. Again changes nothing. */
export const revokeKey =
  ({ journal, now }: KeysContext): Handler =>
  async (request): Promise<ShownApiKey> => {
    const key = await findKey(journal, request);
    const { id } = key;
    valid(z.strictObject({}), request.body ?? {});
    await note(journal, request, { action: 'key.revoke', key });
    const row = await journal.apiKeys.revoke(id, now());
    if (row === undefined) throw notFound(id);
    return shown(row, now());
  };

/**
 * The key that the path names, when the caller may have made it: who rotates a key gets all that it
 * allows.
 *
 * @throws TidegateError `key_not_found` · `forbidden`
 */
async function findKey(
  journal: KeysContext['journal'],
  request: Request,
): Promise<ApiKeyRow & Grant> {
  const caller = callerOf(request);
  const id = pathParameter(request, 'id');
  const found = await journal.apiKeys.find(id);
  if (found === undefined || !isVisible(caller, found)) throw notFound(id);
  const key = { ...found, actions: found.actions.filter(isAction) };
  assertWithin(caller, key);
  return key;
}

const isVisible = (caller: Caller, { tenant }: ApiKeyRow): boolean =>
  tenant === null ? caller.tenant === null : maySee(caller, tenant);

const notFound = (id: string): TidegateError =>
  new TidegateError('key_not_found', `There is no API key ${id}: see GET /api/v1/keys.`);

function assertWithin(caller: Caller, grant: Grant): void {
  const errors = beyond(caller, grant);
  if (errors.length === 0) return;
  throw new TidegateError(
    'forbidden',
    'The key allows more than your credential: only what it allows can be handed on.',
    { details: { errors } },
  );
}

function assertEnds(expiresAt: Date | undefined, after: Date): void {
  if (expiresAt === undefined || expiresAt > after) return;
  throw keyInvalid([
    { path: 'expiresAt', message: 'must be later than the time from which it holds' },
  ]);
}

function valid<Output>(schema: z.ZodType<Output>, body: unknown): Output {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw keyInvalid(
    issuesOf(parsed.error).map(({ path, message }) => ({
      path: path === '' ? 'body' : path,
      message,
    })),
  );
}

const keyInvalid = (errors: Problem['errors']): TidegateError =>
  new TidegateError(
    'key_invalid',
    'A key has a name, a tenant (null for every one), actions, and where needed types, notBefore and expiresAt.',
    { details: { errors } },
  );

const shown = (row: ApiKeyRow, now: Date): ShownApiKey => ({
  ...row,
  state: apiKeyState(row, now),
});
