import type { Contract } from '../model/contract.ts';
import type { Candidate } from './exchange.ts';

/**
 * The version that an event's data has: the one that its sender names, else what its contract says of
 * senders that name none. Code of this project is compiled against the current one.
 */
export function versionOf(
  { attributes: { schemaversion }, isOurs }: Pick<Candidate, 'attributes' | 'isOurs'>,
  contract: Pick<Contract, 'version' | 'unversioned'>,
): number {
  // A sender may write anything: an object is no version, and `Number` throws for some.
  if (typeof schemaversion === 'number' || typeof schemaversion === 'string') {
    return Number(schemaversion);
  }
  return isOurs === true ? contract.version : contract.unversioned;
}
