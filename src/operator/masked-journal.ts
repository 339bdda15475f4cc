/**
 * The journal as people see it: with a mask at every field that a contract marks `pii`, and at every
 * place where a flow, a person or an outside system has repeated one.
 */
import type { DeadLetter } from '../journal/dead-letters.ts';
import type { Journal } from '../journal/journal.ts';
import type {
  DeliveryRow,
  EventRow,
  Paged,
  ParkRow,
  RunRow,
  SettlementRow,
} from '../journal/rows.ts';
import { type Masker, maskerOf } from '../model/mask.ts';
import { markedValues, maskEvent, maskRefused } from '../model/mask-event.ts';
import type { Masking } from '../model/masking.ts';
import type { RunView } from '../model/protocol.ts';
import type { RunId } from '../model/run.ts';
import type { RunOperations } from './run-operations.ts';

type MaskerOfRun = (run: RunId, ...others: readonly string[]) => Masker;

/** @param masking undefined when nothing is marked: the journal as it is. */
export function maskedJournal(journal: Journal, masking: Masking | undefined): Journal {
  if (masking === undefined) return journal;
  const maskersOf = (runs: readonly RunId[]) => maskersOfRuns(journal, runs, masking);

  const events = async (rows: readonly EventRow[]): Promise<readonly EventRow[]> => {
    const told = rows.flatMap((row) => row.deliveries).filter(({ settlement }) => settlement);
    const ofRun = await maskersOf(told.map(({ run }) => run));
    return rows.map((row) => maskEventRow(row, masking, ofRun));
  };
  return {
    ...journal,
    listEvents: async (filter, page) => {
      const { rows, ...rest } = await journal.listEvents(filter, page);
      return { rows: await events(rows), ...rest };
    },
    findEvents: async (tenant, id) => events(await journal.findEvents(tenant, id)),
    listRuns: async (filter, page) => {
      const listed = await journal.listRuns(filter, page);
      const ofRun = await maskersOf(listed.rows.map(({ run }) => run));
      return mapRows(listed, (row) => maskRun(row, ofRun));
    },
    findRun: async (run) => {
      const row = await journal.findRun(run);
      return row && maskRun(row, await maskersOf([run]));
    },
    findPark: async (run, parkId) => {
      const park = await journal.findPark(run, parkId);
      return park && maskPark(park, (await maskersOf([run]))(run));
    },
    stepRecords: async (run) => {
      const records = await journal.stepRecords(run);
      if (records.length === 0) return records;
      const masker = (await maskersOf([run]))(run);
      return records.map((row) => ({ ...row, record: masker.json(row.record) }));
    },
    listDeadLetters: async (page, filter) => {
      const listed = await journal.listDeadLetters(page, filter);
      const ofRun = await maskersOf(listed.rows.flatMap((row) => ('run' in row ? [row.run] : [])));
      return mapRows(listed, (row) => maskDeadLetter(row, masking, ofRun));
    },
    listOutbox: async (filter, page) => {
      const listed = await journal.listOutbox(filter, page);
      const ofRun = await maskersOf(listed.rows.map(({ run }) => run));
      return mapRows(listed, (row) => ({ ...row, input: ofRun(row.run).json(row.input) }));
    },
  };
}

/** What runs say of themselves, likewise. */
export function maskedRuns(
  runs: RunOperations,
  journal: Journal,
  masking: Masking | undefined,
): RunOperations {
  if (masking === undefined) return runs;
  return {
    ...runs,
    view: async (run) => {
      const view = await runs.view(run);
      return view && maskView(view, (await maskersOfRuns(journal, [run], masking))(run));
    },
  };
}

async function maskersOfRuns(
  journal: Journal,
  runs: readonly RunId[],
  masking: Masking,
): Promise<MaskerOfRun> {
  const found = await journal.eventsOfRuns(runs, masking.types);
  const values = new Map(
    [...found].map(([run, events]) => [
      run,
      events.flatMap((event) => markedValues(event, masking)),
    ]),
  );
  return (run, ...others) => maskerOf([...(values.get(run) ?? []), ...others]);
}

const mapRows = <Row>(listed: Paged<Row>, mask: (row: Row) => Row): Paged<Row> => ({
  ...listed,
  rows: listed.rows.map(mask),
});

function maskEventRow(row: EventRow, masking: Masking, ofRun: MaskerOfRun): EventRow {
  const own = markedValues(row.event, masking);
  const deliveries = row.deliveries.map((delivery): DeliveryRow => {
    if (delivery.settlement === undefined) return delivery;
    const masker = ofRun(delivery.run, ...own);
    return { ...delivery, settlement: maskSettlement(delivery.settlement, masker) };
  });
  const { text } = maskerOf(own);
  return {
    ...row,
    event: maskEvent(row.event, masking),
    ...(row.held !== undefined && {
      held: row.held.map((held) => ({ ...held, message: text(held.message) })),
    }),
    ...(row.reason !== undefined && { reason: text(row.reason) }),
    deliveries,
  };
}

/** Its numbers, outcome and times stay what they are. */
const maskSettlement = <Row extends SettlementRow>(row: Row, masker: Masker): Row => ({
  ...row,
  ...(row.reason !== undefined && { reason: masker.text(row.reason) }),
  ...(row.result !== undefined && { result: masker.json(row.result) }),
  ...(row.window !== undefined && { window: masker.json(row.window) }),
});

/** What it is called stays: it is what a decision names. */
const maskPark = <Row extends ParkRow>(row: Row, { text, json }: Masker): Row => ({
  ...row,
  reason: text(row.reason),
  voices: row.voices.map((voice) => ({ ...voice, reason: text(voice.reason) })),
  ...(row.question !== undefined && { question: json(row.question) }),
  ...(row.decision !== undefined && { decision: json(row.decision) }),
});

const maskView = (view: RunView, { text, json }: Masker): RunView => ({
  ...view,
  ...(view.waitingFor !== undefined && { waitingFor: text(view.waitingFor) }),
  ...(view.parked !== undefined && {
    parked: { ...view.parked, reason: text(view.parked.reason) },
  }),
  open: view.open.map((step) => ({
    ...step,
    standing: text(step.standing),
    ...(step.state !== undefined && { state: json(step.state) }),
  })),
});

function maskRun(row: RunRow, ofRun: MaskerOfRun): RunRow {
  const masker = ofRun(row.run);
  return {
    ...row,
    ...(row.park !== undefined && { park: maskPark(row.park, masker) }),
    settlements: row.settlements.map((settlement) => maskSettlement(settlement, masker)),
  };
}

function maskDeadLetter(letter: DeadLetter, masking: Masking, ofRun: MaskerOfRun): DeadLetter {
  switch (letter.kind) {
    case 'rejected':
      return maskRefused(letter, masking);
    case 'parked':
      return maskPark(letter, ofRun(letter.run));
    case 'lost':
      return maskSettlement(letter, ofRun(letter.run));
    // Masked before it was kept: the event is at hand there.
    case 'held':
    // Have nothing of an event but ids.
    case 'fused':
    case 'undeliverable':
      return letter;
    default:
      return letter satisfies never;
  }
}
