import type { NumberedDelivery } from './deliveries.ts';
import type { DeliveryRow, SettlementRow } from './rows.ts';
import type { JournalDatabase } from './schema.ts';
import { SETTLEMENT_COLUMNS, settlementRow } from './settlement-row.ts';

/** The deliveries of each of these events, by the event's number in the journal. */
export async function deliveriesOfEvents(
  database: JournalDatabase,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, readonly NumberedDelivery[]>> {
  if (seqs.length === 0) return new Map();
  const rows = await database
    .selectFrom('deliveries')
    .innerJoin('runs', 'runs.run', 'deliveries.run')
    .select(['deliveries.event_seq', 'deliveries.number', 'runs.run', 'runs.flow', 'runs.key'])
    .where('deliveries.event_seq', 'in', [...new Set(seqs)])
    .orderBy('runs.run')
    .execute();
  return groupBySeq(rows.map(({ event_seq: seq, ...delivery }) => ({ seq, delivery })));
}

/** The same with the state and the settlement of each delivery. */
export async function deliveryRowsOfEvents(
  database: JournalDatabase,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, readonly DeliveryRow[]>> {
  if (seqs.length === 0) return new Map();
  const rows = await database
    .selectFrom('deliveries')
    .innerJoin('runs', 'runs.run', 'deliveries.run')
    .leftJoinLateral(
      (from) =>
        from
          .selectFrom('settlements')
          .select(SETTLEMENT_COLUMNS)
          .whereRef('settlements.run', '=', 'deliveries.run')
          .whereRef('settlements.from_number', '<=', 'deliveries.number')
          .orderBy('settlements.from_number', 'desc')
          .limit(1)
          .as('settlement'),
      (join) => join.onRef('settlement.through_number', '>=', 'deliveries.number'),
    )
    .leftJoin('undeliverable', (join) =>
      join
        .onRef('undeliverable.run', '=', 'deliveries.run')
        .onRef('undeliverable.number', '=', 'deliveries.number')
        .on('undeliverable.passed_over', '=', true),
    )
    .select([
      'undeliverable.set_aside_at',
      'undeliverable.reason as refusal',
      'deliveries.event_seq',
      'deliveries.number',
      'runs.run',
      'runs.flow',
      'runs.key',
      'runs.sent_through',
    ])
    .selectAll('settlement')
    .where('deliveries.event_seq', 'in', [...seqs])
    .orderBy('runs.run')
    .orderBy('deliveries.number')
    .execute();
  return groupBySeq(rows.map((row) => ({ seq: row.event_seq, delivery: deliveryRow(row) })));
}

type Nullable<Row> = { readonly [Column in keyof Row]: Row[Column] | null };
type SettlementColumns = Parameters<typeof settlementRow>[0];

function deliveryRow(
  row: NumberedDelivery & { readonly sent_through: number } & Nullable<SettlementColumns> &
    Nullable<PassedOver>,
): DeliveryRow {
  const delivery = { run: row.run, flow: row.flow, key: row.key, number: row.number };
  if (isPassedOver(row)) return { ...delivery, state: 'settled', settlement: passedOver(row) };
  if (isSettled(row)) return { ...delivery, state: 'settled', settlement: settlementRow(row) };
  return { ...delivery, state: row.number <= row.sent_through ? 'sent' : 'pending' };
}

/** The one of a delivery that its run never gets. */
interface PassedOver {
  readonly set_aside_at: Date;
  readonly refusal: string;
}

const isPassedOver = <Row extends Nullable<PassedOver>>(row: Row): row is Row & PassedOver =>
  row.set_aside_at !== null;

/** A settlement of its own, whatever the range says that it lies in. */
const passedOver = (row: PassedOver & Pick<NumberedDelivery, 'number'>): SettlementRow => ({
  fromNumber: row.number,
  throughNumber: row.number,
  outcome: 'undeliverable',
  reason: row.refusal,
  workflowRunId: '',
  settledAt: row.set_aside_at.toISOString(),
});

const isSettled = <Row extends Nullable<SettlementColumns>>(
  row: Row,
): row is Row & SettlementColumns => row.outcome !== null;

function groupBySeq<Shown>(
  rows: readonly { readonly seq: number; readonly delivery: Shown }[],
): ReadonlyMap<number, readonly Shown[]> {
  const bySeq = new Map<number, Shown[]>();
  for (const { seq, delivery } of rows) {
    const known = bySeq.get(seq);
    if (known === undefined) bySeq.set(seq, [delivery]);
    else known.push(delivery);
  }
  return bySeq;
}
