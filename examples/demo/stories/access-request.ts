import { isDeepStrictEqual } from 'node:util';
import {
  answerByLink,
  decide,
  type Sending,
  send,
  showLinks,
  showOutbox,
  untilParked,
  untilSettled,
} from '../engine';
import { freshId, type Story } from '../story';
import { demoFailed, promise, say, title } from '../terminal';

const ANA = 'ana@acme.example';
const BO = 'bo@acme.example';

export const accessRequest: Story = {
  name: 'access-request',
  summary: 'two different people approve, by a signed link and by the API (approval)',
  writesTo: ['slack', 'directory'],
  async tell() {
    const requestId = freshId();
    const other = `${requestId}b`;
    const runOf = (request: string) => `accessRequest:default:${request}`;

    title('Dan asks for access', ' as an administrator of billing');
    await ask(requestId, 'admin');
    title(`The run ${runOf(requestId)}`, ' asks three people, each by a link of their own');
    await untilParked(runOf(requestId));
    const asked = await showOutbox(runOf(requestId), 3);
    const link = linkOf(asked, ANA);
    say(`\n  Open it if you like, it changes nothing: ${link}\n`);
    await answerByLink(link, { action: 'approve', reason: 'month end' }, ANA);
    await answerByLink(link, { action: 'approve', reason: 'month end' }, ANA);
    const half = await untilParked(runOf(requestId));
    await decide(runOf(requestId), { action: 'approve', reason: 'fine with me' }, BO);
    const approved = await untilSettled(runOf(requestId));
    title('What left then');
    const left = await showOutbox(runOf(requestId));

    title('Dan asks for more', ', and Bo refuses');
    await ask(other, 'owner');
    title(`The run ${runOf(other)}`);
    await untilParked(runOf(other));
    const askedAgain = await showOutbox(runOf(other), 3);
    say('');
    await answerByLink(linkOf(askedAgain, BO), { action: 'reject', reason: 'admin will do' }, BO);
    const rejected = await untilSettled(runOf(other));
    title('What left then');
    const leftOfOther = await showOutbox(runOf(other));

    title('Read on');
    showLinks(approved, `${requestId}-requested`);
    const granted = (sendings: readonly Sending[]) =>
      sendings.filter(({ operation }) => operation === 'directory.grant').length;
    promise('\n2 different people → granted once; 1 rejection → nothing granted.', {
      'Ana twice is one voice': half.status === 'parked',
      'both voices are in the result': isDeepStrictEqual(approved.settlements.at(-1)?.result, {
        status: 'approved',
        voices: 2,
      }),
      'access was granted once': granted(left) === 1,
      'the other request was rejected': isDeepStrictEqual(rejected.settlements.at(-1)?.result, {
        status: 'rejected',
        voices: 1,
      }),
      'nothing was granted for it': granted(leftOfOther) === 0,
    });
  },
};

const ask = (requestId: string, role: string) =>
  send({
    type: 'access.requested',
    id: `${requestId}-requested`,
    label: `${role} on billing`,
    data: { requestId, system: 'billing', role, why: 'month end', requester: 'dan@acme.example' },
  });

function linkOf(asked: readonly Sending[], approver: string): string {
  const message = asked.find(({ input }) => input.channel === approver);
  const link = /https?:\/\/\S+/.exec(String(message?.input.text))?.[0];
  if (link === undefined) throw demoFailed(`No link was sent to ${approver}.`);
  return link;
}
