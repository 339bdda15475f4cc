/** Who calls, and what they may do. Pure: the decisions about a request, without the request. */
import { LIMITS } from '../model/limits.ts';
import { textProblem } from '../model/run.ts';

/** What a credential can allow, named as OAuth scopes are. */
export const ACTIONS = ['events:write', 'operate:read', 'operate:write', 'keys:write'] as const;
export type Action = (typeof ACTIONS)[number];

export const isAction = (text: string): text is Action =>
  (ACTIONS as readonly string[]).includes(text);

/** What a credential allows. */
export interface Grant {
  /** The one tenant that it is for; null for every tenant. */
  readonly tenant: string | null;
  /** Event types that may be sent: `invoice.paid`, all of `invoice.*`, or `*`. */
  readonly types: readonly string[];
  readonly actions: readonly Action[];
}

/** Whoever has sent a request. */
export interface Caller extends Grant {
  /** The name of an API key, the `sub` of a JWT, else the kind. */
  readonly id: string;
  /**
   * `token` is TIDEGATE_TOKEN, `development` the key that `dev` makes, `local` a request from this
   * machine where none needs a credential.
   */
  readonly kind: 'token' | 'api-key' | 'jwt' | 'development' | 'local';
}

/** A caller whose credential is bound to nothing. */
export const administrator = (kind: 'token' | 'development' | 'local'): Caller => ({
  id: kind,
  kind,
  tenant: null,
  types: ['*'],
  actions: ACTIONS,
});

export const mayDo = ({ actions }: Grant, action: Action): boolean => actions.includes(action);

export const mayEmit = ({ types }: Grant, type: string): boolean =>
  types.some((pattern) => covers(pattern, type));

/** Whether rows of this tenant may be shown. */
export const maySee = ({ tenant: own }: Grant, tenant: string): boolean =>
  own === null || own === tenant;

export type TenantDecision =
  | { readonly kind: 'own'; readonly tenant: string }
  /** Of every tenant: what the request says holds, if it says anything. */
  | { readonly kind: 'as claimed' }
  | { readonly kind: 'forbidden'; readonly own: string };

/** The tenant of what a caller sends or asks for, when the request names this one, or none. */
export function tenantFor({ tenant: own }: Grant, claimed: unknown): TenantDecision {
  if (own === null) return { kind: 'as claimed' };
  const isOwn = claimed === undefined || claimed === null || claimed === own;
  return isOwn ? { kind: 'own', tenant: own } : { kind: 'forbidden', own };
}

/** What of a grant is more than the caller has: nobody hands on what is not theirs. */
export function beyond(
  caller: Grant,
  grant: Grant,
): readonly { readonly path: string; readonly message: string }[] {
  const { tenant, types, actions } = grant;
  const tenantProblem =
    caller.tenant === null || caller.tenant === tenant
      ? []
      : [{ path: 'tenant', message: `must be ${caller.tenant}, the tenant of your credential` }];
  return [
    ...tenantProblem,
    ...types
      .filter((type) => !mayEmit(caller, type))
      .map((type) => ({ path: 'types', message: `${type} is not allowed to your credential` })),
    ...actions
      .filter((action) => !mayDo(caller, action))
      .map((action) => ({
        path: 'actions',
        message: `${action} is not allowed to your credential`,
      })),
  ];
}

/** Whether the request says who acts; the other credentials say it themselves. */
export function namesActor({ kind }: Caller): boolean {
  switch (kind) {
    case 'token':
    case 'development':
    case 'local':
      return true;
    case 'api-key':
    case 'jwt':
      return false;
    default:
      return kind satisfies never;
  }
}

/** Whether a text can be a pattern of event types: a star stands alone, or last after a dot. */
export const isTypePattern = (text: string): boolean =>
  text.length <= LIMITS.attributeCharactersMax &&
  textProblem(text) === undefined &&
  /^(?:\*|[^*]+|[^*]+\.\*)$/.test(text);

/** Whether a text can name a caller: it is shown, stored and compared with the names of approvers. */
export const isCallerName = (text: string): boolean =>
  text.trim() !== '' &&
  text.length <= LIMITS.approverCharactersMax &&
  textProblem(text) === undefined;

/** Whether a pattern has everything that a type, or another pattern, has. */
function covers(pattern: string, type: string): boolean {
  if (pattern === '*' || pattern === type) return true;
  return pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1));
}
