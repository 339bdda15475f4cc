import { decide, send, showLinks, showOutbox, untilSeen, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { promise, title } from '../terminal';

const EDITS = [
  ['phone', '+47 22 00 00 01'],
  ['city', 'Oslo'],
  ['phone', '+47 22 00 00 02'],
  ['owner', 'Ana'],
  ['size', '120 seats'],
] as const;

export const leadEdits: Story = {
  name: 'lead-edits',
  summary: 'five edits become one notice, and an operator does not wait for it (debounce, flush)',
  writesTo: ['slack'],
  async tell() {
    const leadId = freshId();
    const run = `leadEdits:default:${leadId}`;
    const edit = (number: number | string, field: string, to: string) =>
      send({
        type: 'lead.edited',
        id: `${leadId}-${number}`,
        label: `${field}: ${to}`,
        data: { leadId, field, to, editor: 'bo' },
      });

    title(`Bo edits the lead ${leadId} five times`, ', and the CRM once by itself');
    for (const [index, [field, to]] of EDITS.entries()) await edit(index + 1, field, to);
    const again = await edit(5, 'size', '120 seats');
    const itself = await edit('viewed', 'lastViewedAt', 'just now');

    title(`The run ${run}`);
    await untilSeen(run, EDITS.length);
    await decide(run, { action: 'flush', reason: 'Bo says that this was all' });
    const settled = await untilSettled(run);
    const window = settled.settlements.at(-1)?.window;

    title('What left');
    const left = await showOutbox(run);
    title('Read on');
    showLinks(settled, `${leadId}-1`);
    promise('\n5 edits → 1 notice.', {
      'the repeated edit is a duplicate': again.status === 'duplicate',
      "the CRM's own edit is filtered": itself.status === 'filtered',
      'the window has 5 edits': window?.count === EDITS.length,
      'the window was closed by the operator': window?.closedBy === 'flushed',
      'one notice left': left.length === 1,
      'it tells the last phone number only':
        !JSON.stringify(left).includes('01') && JSON.stringify(left).includes('02'),
    });
  },
};
