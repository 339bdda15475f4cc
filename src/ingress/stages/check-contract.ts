import type { Contract, ContractVerdict } from '../../model/contract.ts';
import type { Decision, IngressContext, Passing } from '../exchange.ts';
import { refuseEvent, SEND_AGAIN } from '../refusal.ts';

/** Holds an event's data against the contract of its type, and brings it to the current version. */
export function checkContract(passing: Passing, context: IngressContext): Passing | Decision {
  const { event, candidate } = passing;
  const { contracts } = context.catalogue;
  const contract = Object.hasOwn(contracts, event.type) ? contracts[event.type] : undefined;
  if (contract === undefined) {
    return refuseEvent(
      passing,
      'unknown_type',
      `There is no contract for ${event.type}: add it to events.ts, ${SEND_AGAIN}.`,
    );
  }
  noteOldSender(passing, contract, context);
  if (isRetired(contract, event.schemaversion, context.now())) {
    return refuseEvent(
      passing,
      'version_retired',
      `${event.type} is not taken in version ${event.schemaversion} any more: send version ${contract.version}.`,
      [{ path: 'schemaversion', message: `must be ${contract.version}` }],
    );
  }
  const verdict = contract.check(candidate.data, event.schemaversion);
  if (!verdict.ok) return refuseVerdict(passing, contract, verdict);
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

function noteOldSender(
  { event: { source, type, schemaversion: version } }: Passing,
  contract: Contract,
  { oldSenders, now }: IngressContext,
): void {
  const known = contract.versions.find((each) => each.version === version);
  // A current version can be deprecated too, when the type is to go.
  const isOld = known !== undefined && (version < contract.version || known.deprecation);
  if (isOld) oldSenders?.note({ source, type, version }, now().getTime());
}

function isRetired({ versions }: Contract, version: number, now: Date): boolean {
  const ending = versions.find((each) => each.version === version)?.deprecation;
  return ending?.refuseAfterSunset === true && now.getTime() >= Date.parse(ending.sunset);
}

function refuseVerdict(
  passing: Passing,
  { type, version: current }: Contract,
  { code, problems }: Extract<ContractVerdict<unknown>, { ok: false }>,
): Decision {
  const version = passing.event.schemaversion;
  const errors = problems.map(({ path, message }) => ({ path: inData(path), message }));
  const named = errors.slice(0, 3).map(({ path, message }) => `${path}: ${message}`);
  switch (code) {
    case 'contract_violation':
      return refuseEvent(
        passing,
        code,
        `The data is not that of ${type} version ${version}: ${named.join('; ')}.`,
        errors,
      );
    case 'unknown_version': {
      const [reason = ''] = problems.map(({ message }) => message);
      return refuseEvent(
        passing,
        code,
        `Of ${type}, ${reason}. Send one that is taken; or release version ${version} here first, then send the event again: it is kept under /api/v1/dead-letters.`,
        [{ path: 'schemaversion', message: reason }],
      );
    }
    case 'upcast_failed':
      // Ours: what is wrong inside is nothing that the sender could mend.
      return refuseEvent(
        passing,
        code,
        `Data of ${type} version ${version} could not be brought to version ${current}: ${named.join('; ')}. Mend the upcast in events.ts, ${SEND_AGAIN}.`,
      );
    default:
      return code satisfies never;
  }
}

const inData = (path: string): string =>
  path === '' ? 'data' : path.startsWith('[') ? `data${path}` : `data.${path}`;
