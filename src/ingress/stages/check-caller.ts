import type { Request } from 'express';
import { callerOf } from '../../access/authenticate.ts';
import { type Caller, mayEmit, tenantFor } from '../../access/caller.ts';
import type { ErrorCode } from '../../model/error.ts';
import type { Candidate, Intake, Refusal } from '../exchange.ts';
import { refuseCandidate } from '../refusal.ts';

/** What a request brings, of which only what its caller may send goes on. */
export const forCaller =
  (take: (request: Request) => Promise<Intake>) =>
  async (request: Request): Promise<Intake> =>
    checkCaller(await take(request), callerOf(request));

/**
 * Gives events the tenant of the credential, and refuses those that claim another or have a type that
 * the credential does not allow.
 */
export const checkCaller = (intake: Intake, caller: Caller): Intake => ({
  ...intake,
  candidates: intake.candidates.map((candidate) =>
    candidate.kind === 'candidate' ? checkCandidate(candidate, caller) : candidate,
  ),
});

function checkCandidate(candidate: Candidate, caller: Caller): Candidate | Refusal {
  const { tenantid, type } = candidate.attributes;
  const decision = tenantFor(caller, tenantid);
  if (decision.kind === 'forbidden') {
    return refuse(candidate, caller, {
      code: 'tenant_forbidden',
      message: `Your credential is for the tenant ${decision.own}, and the event names another: leave tenantid out, or use a credential of that tenant.`,
      error: { path: 'tenantid', message: `must be ${decision.own}, or left out` },
    });
  }
  const own =
    decision.kind === 'own'
      ? { ...candidate, attributes: { ...candidate.attributes, tenantid: decision.tenant } }
      : candidate;
  // What is no type is no event: the envelope says so.
  if (typeof type !== 'string' || mayEmit(caller, type)) return own;
  return refuse(own, caller, {
    code: 'type_forbidden',
    message: `Your credential may send ${caller.types.join(', ')}, and the event has another type: use a credential that may send it.`,
    error: { path: 'type', message: `must be one of ${caller.types.join(', ')}` },
  });
}

/** Where it is kept, it is kept with the tenant of the credential: nobody writes into another's list. */
function refuse(
  candidate: Candidate,
  { tenant }: Caller,
  refusal: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly error: { readonly path: string; readonly message: string };
  },
): Refusal {
  const { code, message, error } = refusal;
  const refused = refuseCandidate(candidate, code, [error]);
  const { rejection } = refused;
  return {
    ...refused,
    rejection: { ...rejection, message, tenant: tenant ?? rejection.tenant },
  };
}
