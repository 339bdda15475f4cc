/** Both CRMs, beside `tidegate dev examples/two-way-sync`, and two people who edit contacts in them. */
import { setTimeout as wait } from 'node:timers/promises';
import { type Crm, startCrm } from './crm.ts';

const TIDEGATE = process.env.TIDEGATE_URL ?? 'http://127.0.0.1:3000';
const EDITS = 20;

const start = (name: 'alpha' | 'beta', port: number): Promise<Crm> =>
  startCrm({
    port,
    token: `token-of-${name}`,
    secret: `webhook-secret-of-${name}`,
    hook: `${TIDEGATE}/hooks/${name}`,
  });

const alpha = await start('alpha', 4001);
const beta = await start('beta', 4002);
for (let edit = 0; edit < EDITS; edit += 1) {
  if (edit % 2 === 0) alpha.edit('ada', { phone: `030 ${edit}` }, 'ana');
  else beta.edit('bob', { city: `Town ${edit}` }, 'bo');
  await wait(100);
}
// What is written is told once more, and that is told no further.
while (alpha.waiting + beta.waiting > 0 || alpha.apiWrites + beta.apiWrites < EDITS) {
  await wait(100);
}
console.log(`${EDITS} edits by people made ${alpha.apiWrites + beta.apiWrites} syncs.`);
console.log('alpha', Object.fromEntries(alpha.contacts));
console.log('beta', Object.fromEntries(beta.contacts));
await Promise.all([alpha.stop(), beta.stop()]);
