import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { decide, send, showLinks, showOutbox, untilSeen, untilSettled } from '../engine';
import { freshId, type Story } from '../story';
import { promise, say, title } from '../terminal';

const HOUR_MS = 3_600_000;
const STORY_MS_MAX = 20_000;

/** Lets the hour end where it is about to: a story in two hours would have one window more. */
export async function untilHourHasRoom(): Promise<void> {
  const leftMs = HOUR_MS - (Date.now() % HOUR_MS);
  if (leftMs > STORY_MS_MAX) return;
  say(`\n  The hour ends in ${Math.ceil(leftMs / 1_000)} s: this story begins with the next.`);
  await pause(leftMs + 1_000);
}

/** The tickets of an hour, by team. */
const CALM = ['login', 'billing', 'login', 'delivery', 'login', 'billing'] as const;

export const supportVolume: Story = {
  name: 'support-volume',
  summary: 'tickets are counted by team for an hour, an urgent one is told at once (aggregate)',
  writesTo: ['paging', 'slack'],
  async tell() {
    await untilHourHasRoom();
    const desk = freshId();
    const run = `supportVolume:default:${desk}`;
    const create = (number: number, team: string, priority = 'normal') =>
      send({
        type: 'ticket.created',
        id: `${desk}-${number}`,
        label: `${team}, ${priority}`,
        data: {
          ticketId: `T-${number}`,
          desk,
          team,
          priority,
          title: priority === 'urgent' ? 'Nobody can log in' : 'A question',
          customer: 'bo@customer.example',
        },
      });

    title(`Tickets come to the desk ${desk}`, ', an hour is open');
    for (const [index, team] of CALM.entries()) await create(index + 1, team);
    const again = await create(6, 'billing');
    title('One more is urgent', ': it does not wait for the hour to end');
    await create(7, 'login', 'urgent');
    title(`The run ${run}`);
    await untilSettled(run);

    title('Two more come', ', and an operator wants to know now');
    await create(8, 'delivery');
    await create(9, 'delivery');
    title(`The run ${run}`);
    await untilSeen(run, 9);
    await decide(run, { action: 'flush', reason: 'the shift ends early today' });
    const settled = await untilSettled(run);

    title('What left');
    const left = await showOutbox(run);
    title('Read on');
    showLinks(settled, `${desk}-1`);
    const windows = settled.settlements.map(({ window }) => [window?.count, window?.closedBy]);
    promise('\n9 tickets → 2 messages by team, and 1 page for the urgent one.', {
      'the repeated ticket is a duplicate': again.status === 'duplicate',
      'every ticket is in one window': isDeepStrictEqual(windows, [
        [7, 'urgent'],
        [2, 'flushed'],
      ]),
      'the page left before the messages':
        left.map(({ operation }) => operation).join(' ') ===
        'paging.page slack.postMessage slack.postMessage',
      'the teams are counted': String(left[1]?.input.text).includes(
        '7 tickets, login 4, billing 2, delivery 1',
      ),
    });
  },
};
