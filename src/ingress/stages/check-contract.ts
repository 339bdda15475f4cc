import type { Decision, IngressContext, Passing } from '../exchange.ts';
import { refuseEvent, SEND_AGAIN } from '../refusal.ts';

/** Holds an event's data against the contract of its type, and brings it to the current version. */
export function checkContract(passing: Passing, context: IngressContext): Passing | Decision {
  const { event } = passing;
  const { contracts } = context.catalogue;
  const contract = Object.hasOwn(contracts, event.type) ? contracts[event.type] : undefined;
  if (contract === undefined) {
    return refuseEvent(
      passing,
      'unknown_type',
      `There is no contract for ${event.type}: add it to events.ts, ${SEND_AGAIN}.`,
    );
  }
  const verdict = contract.check(passing.candidate.data, event.schemaversion);
  if (!verdict.ok) {
    const errors = verdict.problems.map(({ path, message }) => ({ path: inData(path), message }));
    const named = errors.slice(0, 3).map(({ path, message }) => `${path}: ${message}`);
    return refuseEvent(
      passing,
      'contract_violation',
      `The data is not that of ${event.type} version ${event.schemaversion}: ${named.join('; ')}.`,
      errors,
    );
  }
  const subject = event.subject ?? verdict.subject;
  return {
    ...passing,
    event: {
      ...event,
      data: verdict.data,
      schemaversion: contract.version,
      ...(subject === undefined ? {} : { subject }),
    },
  };
}

const inData = (path: string): string =>
  path === '' ? 'data' : path.startsWith('[') ? `data${path}` : `data.${path}`;
