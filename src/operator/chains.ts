import type { EventRow } from '../journal/rows.ts';
import { chainText } from '../model/chain.ts';
import { LIMITS } from '../model/limits.ts';
import type { RunId } from '../model/run.ts';

const CHAINS_MAX = 20;
const FLOW_SOURCE = 'tidegate/';

/**
 * By which runs a story went on, where flows emitted events: one chain to each run that emitted nothing
 * further, such as `orderSync(7) → crmSync(7)`. The longest first, the first 20.
 */
export function chainsOf(events: readonly EventRow[]): readonly string[] {
  const byId = new Map(events.map((row) => [row.event.id, row]));
  const emitters = new Set(events.map((row) => emitterOf(row, byId)?.run));
  const chains = events.flatMap((row) => {
    const ancestors = ancestorsOf(row, byId);
    const ends = row.deliveries.map(({ run }) => run).filter((run) => !emitters.has(run));
    // A loop ends where its last event went nowhere.
    return ends.length > 0 || row.deliveries.length > 0
      ? ends.map((run) => [...ancestors, run])
      : [ancestors];
  });
  const texts = chains
    .filter((chain) => chain.length > 1)
    .sort((one, other) => other.length - one.length)
    .map(chainText);
  return [...new Set(texts)].slice(0, CHAINS_MAX);
}

type ById = ReadonlyMap<string, EventRow>;

/** The run that emitted an event, and the event that opened the window in which it did. */
function emitterOf(
  { event: { source, causationid } }: EventRow,
  byId: ById,
): { readonly run: RunId; readonly cause: EventRow } | undefined {
  const cause = source.startsWith(FLOW_SOURCE) ? byId.get(causationid ?? '') : undefined;
  const flow = source.slice(FLOW_SOURCE.length);
  const run = cause?.deliveries.find((delivery) => delivery.flow === flow)?.run;
  return cause === undefined || run === undefined ? undefined : { run, cause };
}

function ancestorsOf(row: EventRow, byId: ById): readonly RunId[] {
  const runs: RunId[] = [];
  let emitter = emitterOf(row, byId);
  while (emitter !== undefined && runs.length <= LIMITS.hopsMax) {
    runs.unshift(emitter.run);
    emitter = emitterOf(emitter.cause, byId);
  }
  return runs;
}
