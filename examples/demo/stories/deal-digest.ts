import { setTimeout as pause } from 'node:timers/promises';
import { base, outboxOf, type Run, type Sent, send, showLinks, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { bold, demoFailed, green, say, table, title } from '../terminal';

const CHANGES = 25;
const STAGES = ['lead', 'qualified', 'proposal', 'negotiation', 'won'] as const;
/** After which changes the sender, unsure whether it got through, sends the same again. */
const REPEATED_AFTER: readonly number[] = [6, 13, 25];
const PAUSE_MS = 60;
const type = 'deal.stage_changed';

export const dealDigest: Story = {
  name: 'deal-digest',
  summary: '25 changes to one deal become one message (debounce)',
  writesTo: ['slack'],
  async tell() {
    const dealId = freshId();
    title(`The deal ${dealId} changes ${CHANGES} times`, ', some of it sent twice');
    const changes: Sent[] = [];
    const duplicates: Sent[] = [];
    for (let number = 1; number <= CHANGES; number += 1) {
      const change = changeOf(dealId, number);
      changes.push(await send(change));
      if (REPEATED_AFTER.includes(number)) duplicates.push(await send(change));
      await pause(PAUSE_MS);
    }

    title('Two more that must not get through');
    const malformed = await send({
      type,
      id: `${dealId}-malformed`,
      label: 'amount: "a lot", no stage',
      data: { dealId, amount: 'a lot', currency: 'EUR' },
    });
    const unwanted = await send({
      type,
      id: `${dealId}-small`,
      label: 'a deal of 250 EUR',
      data: { dealId: `${dealId}-small`, stage: 'lead', amount: 250, currency: 'EUR' },
    });

    const run = changes[0]?.runs[0];
    if (run === undefined) {
      throw demoFailed(`The first change went to no run: it was ${changes[0]?.status}.`);
    }
    title(`The run ${run}`);
    const settled = await untilSettled(run);
    const messages = await messagesOf(run);
    report({ dealId, changes, duplicates, malformed, unwanted, settled, messages });
  },
};

const changeOf = (dealId: string, number: number) => {
  const stage = STAGES[Math.floor(((number - 1) * STAGES.length) / CHANGES)] ?? 'lead';
  const amount = 10_000 + number * 500;
  return {
    type,
    id: `${dealId}-${number}`,
    label: `${stage}, ${amount.toLocaleString('en')} EUR`,
    data: { dealId, stage, amount, currency: 'EUR' },
  };
};

type Message = { readonly channel: string; readonly text: string };

/** What left for Slack because of a run. */
const messagesOf = async (run: string): Promise<readonly Message[]> =>
  (await outboxOf(run))
    .filter(({ operation }) => operation === 'slack.postMessage')
    .map(({ input }) => input as Message);

function report(seen: {
  readonly dealId: string;
  readonly changes: readonly Sent[];
  readonly duplicates: readonly Sent[];
  readonly malformed: Sent;
  readonly unwanted: Sent;
  readonly settled: Run;
  readonly messages: readonly Message[];
}): void {
  const { changes, duplicates, malformed, unwanted, settled, messages } = seen;
  const window = settled.settlements.at(-1)?.window;
  const became = (all: readonly Sent[]) => [...new Set(all.map(({ status }) => status))].join(', ');
  table([
    ['What arrived', 'What it became', 'Why'],
    [
      `${changes.length} changes of one deal`,
      `${messages.length} message${messages.length === 1 ? '' : 's'}`,
      `${settled.settlements.length} window of ${window?.count} events, closed by ${window?.closedBy}`,
    ],
    [
      `${duplicates.length} exact duplicates`,
      became(duplicates),
      'the same Idempotency-Key: counted on the first, nothing else',
    ],
    ['1 malformed event', malformed.status, malformed.why],
    ['1 deal nobody wants', unwanted.status, unwanted.why],
  ]);
  for (const { channel, text } of messages) say(`  ${bold('What left')}   ${channel}  ${text}\n`);
  showLinks(settled, `${seen.dealId}-1`);
  say(`  Refused     ${base}/api/v1/dead-letters\n`);

  const kept =
    changes.every(({ status }) => status === 'accepted') &&
    duplicates.every(({ status }) => status === 'duplicate') &&
    malformed.status === 'refused' &&
    unwanted.status === 'filtered' &&
    messages.length === 1 &&
    window?.count === CHANGES;
  if (!kept) {
    throw demoFailed(
      `The promise was ${CHANGES} changes, 1 message, 3 duplicates, 1 refused, 1 filtered; the table shows what differs.`,
    );
  }
  say(green(`${CHANGES} changes → 1 message.\n`));
}
