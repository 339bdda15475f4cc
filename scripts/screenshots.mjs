// Takes the pictures in docs/images of a running `npm start`. Not part of any command: run it by hand
// after a change that shows, with Debian's or your own Chromium:
//
//   TIDEGATE_CRM_BASE_URL=http://127.0.0.1:4999 TIDEGATE_CRM_TOKEN=any npm start
//   CHROMIUM=/usr/bin/chromium node scripts/screenshots.mjs
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const api = `http://127.0.0.1:${process.env.PORT ?? 3000}`;
const ui = `http://127.0.0.1:${process.env.TEMPORAL_UI_PORT ?? 8233}/namespaces/default/workflows`;
const images = fileURLToPath(new URL('../docs/images/', import.meta.url));
const stamp = Date.now().toString(36);

/** A CRM that knows every deal but the gone ones. */
const crm = createServer((request, response) => {
  const isGone = request.url?.includes('gone') === true;
  response.writeHead(isGone ? 404 : 200, { 'Content-Type': 'application/json' });
  response.end(
    JSON.stringify(
      isGone ? { error: 'no such deal' } : { id: '1', name: 'Harbour lease', stage: 'won' },
    ),
  );
}).listen(4999, '127.0.0.1');

async function change(deal, id) {
  const response = await fetch(`${api}/events/deal.stage_changed`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `${deal}-${id}` },
    body: JSON.stringify({ dealId: deal, stage: 'won', amount: 5_000, currency: 'EUR' }),
  });
  if (response.status !== 202) throw new Error(`answered ${response.status}`);
}

async function historyOf(deal) {
  const run = encodeURIComponent(`dealDigest:default:${deal}`);
  const { links } = await (await fetch(`${api}/api/v1/runs/${run}`)).json();
  return links.history;
}

/** The pages of those who are asked to approve a request, as their messages link to them. */
async function approvalPages(request) {
  const response = await fetch(`${api}/events/access.requested`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': request },
    body: JSON.stringify({
      requestId: request,
      system: 'billing',
      role: 'admin',
      why: 'Month-end close: 14 invoices went out with the wrong tax rate.',
      requester: 'dan@acme.example',
    }),
  });
  if (response.status !== 202) throw new Error(`answered ${response.status}`);
  await sleep(2_000);
  const run = encodeURIComponent(`accessRequest:default:${request}`);
  const { rows } = await (await fetch(`${api}/api/v1/outbox?run=${run}`)).json();
  return rows.map(({ input }) => /http\S+/.exec(input.text)[0]).reverse();
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  const picture = async (name) => {
    await sleep(1_500);
    await page.screenshot({ path: `${images}${name}.png` });
  };

  const gone = `deal-gone-${stamp}`;
  await change(gone, 1);
  await sleep(7_000);
  await page.goto(await historyOf(gone));
  await picture('temporal-parked');
  await page.goto(ui);
  await picture('temporal-runs');

  const deal = `deal-${stamp}`;
  for (let n = 0; n < 12; n += 1) {
    await change(deal, n);
    await sleep(60);
  }
  await sleep(500);
  await page.goto(await historyOf(deal));
  await picture('temporal-waiting');
  await page.getByText('User Metadata').click();
  await picture('temporal-user-metadata');
  await page.getByText('Search Attributes').click();
  await picture('temporal-search-attributes');
  await sleep(5_000);
  await page.goto(await historyOf(deal));
  await picture('temporal-settled');

  const [ana, bo] = await approvalPages(`A-${stamp}`);
  await page.setViewportSize({ width: 760, height: 640 });
  await page.goto(ana);
  await page.getByLabel('Reason').fill('Checked with Iris, fine for the close.');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.goto(bo);
  await page.screenshot({ path: `${images}approval-page.png`, fullPage: true });
} finally {
  await browser.close();
  crm.close();
}
