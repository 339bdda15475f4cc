/** The step by which a flow emits an event. */
import type { EmitInput, Emitted } from '../model/protocol.ts';
import { showStage } from './details.ts';
import { activeStep, currentRun, nextStep, type RunInWindow } from './run-scope.ts';

/** What a flow may say about an event beside its data. */
export interface EmitOptions {
  /** The entity that it happened to. @default what the contract takes from the data, if it does */
  readonly subject?: string;
}

interface Said extends EmitOptions {
  readonly type: string;
  readonly data: unknown;
}

export async function emitEvent(said: Said): Promise<Emitted> {
  const scope = currentRun('emit');
  const step = nextStep(scope.window, 'emit');
  const done = scope.window.steps.get(step);
  if (done !== undefined) return done as unknown as Emitted;

  showStage(scope, 'running', `emitting ${said.type}`);
  // A rejection comes as what the activity threw: failures of local activities are not wrapped.
  const emitted = await activeStep(scope, () => scope.journal.emit(emission(scope, step, said)));
  scope.window.steps.set(step, { ...emitted });
  return emitted;
}

/** The event as the next in the story of the one that opened the window. */
function emission(
  { input: { run, flow, tenant }, window: { first, hops } }: RunInWindow,
  step: string,
  said: Said,
): EmitInput {
  const { id, correlationid, traceparent, replay } = first.event;
  return {
    identity: `${run}/${first.number}/${step}`,
    step,
    event: {
      ...said,
      source: `tidegate/${flow}`,
      time: new Date().toISOString(),
      tenantid: tenant,
      correlationid,
      causationid: id,
      origin: `tidegate:${flow}`,
      hops: hops + 1,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(replay === undefined ? {} : { replay }),
    },
  };
}
