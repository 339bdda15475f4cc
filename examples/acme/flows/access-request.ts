import { approval, flowsFor } from 'tidegate/flow';
import type { events } from '../events';
import { directory, slack } from './connectors';

const flow = flowsFor<typeof events>();
const APPROVERS = ['ana@acme.example', 'bo@acme.example', 'cy@acme.example'];

export const accessRequest = flow({
  on: 'access.requested',
  owner: 'security',
  summary: 'Grant access once two people have approved it',
  runbook: 'https://wiki.acme.example/runbooks/access-request',
  key: (event) => event.data.requestId,
  async run({ data: { system, role, why, requester } }) {
    const asked = await approval({
      title: `${role} on ${system} for ${requester}`,
      context: { system, role, requester, why },
      // Nobody approves a request of their own.
      from: APPROVERS.filter((approver) => approver !== requester),
      need: 2,
      within: '2d',
      remindEvery: '4h',
      escalateAfter: '1d',
      escalateTo: ['eva@acme.example'],
      // A link is one person's voice: each goes to that person alone.
      notify: async ({ kind, title, approvers }) => {
        for (const { approver, link } of approvers) {
          await slack.postMessage({ channel: approver, text: `${kind}: ${title} ${link}` });
        }
      },
    });
    if (asked.status === 'approved') await directory.grant({ user: requester, system, role });
    const said = asked.voices.map(({ approver, reason }) => `${approver}: ${reason}`).join('; ');
    await slack.postMessage({
      channel: requester,
      text: `${role} on ${system}: ${asked.status}. ${said}`,
    });
    return { status: asked.status, voices: asked.voices.length };
  },
});
