import type { ChangeEvent, WrittenBy } from '../../journal/journal.ts';
import { runName } from '../../model/chain.ts';
import type { Decision, IngressContext, Passing } from '../exchange.ts';

/** What an event is at this stage: on its way, or decided. */
type Step = Passing | Decision;

/**
 * Ends the webhooks that come back of what our own connectors wrote. Only events that a source's mapping
 * marks as a change are asked about, all of a request at once.
 */
export async function suppressEchoes(
  steps: readonly Step[],
  { journal }: Pick<IngressContext, 'journal'>,
): Promise<readonly Step[]> {
  const told = steps.flatMap(changeOf);
  if (told.length === 0) return steps;
  const verdicts = await journal.claimEchoes(told);
  const writers = new Map(told.map(({ event }, index) => [event, verdicts[index]] as const));
  return steps.map((step) => {
    const writer = step.kind === 'passing' ? writers.get(step.event) : undefined;
    return writer === undefined || step.kind !== 'passing' ? step : echo(step, writer);
  });
}

function changeOf(step: Step): (ChangeEvent & Pick<Passing, 'event'>)[] {
  if (step.kind !== 'passing' || step.candidate.change === undefined) return [];
  return [{ event: step.event, change: step.candidate.change }];
}

const echo = ({ event }: Passing, { run, operation }: WrittenBy): Decision => ({
  kind: 'journal',
  entry: {
    event,
    status: 'echo',
    reason: `it tells of what ${operation} of ${runName(run)} wrote`,
    deliveries: [],
  },
});
