/** The handlers that one writes by hand: verify, validate, start or signal a workflow, answer. */
import { timingSafeEqual } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import express from 'express';
import { z } from 'zod';
import { SIGNATURE_HEADER, signatureOf, WEBHOOK_PATH } from '../signed.ts';
import { changed, naiveDigest, naiveOrder } from './workflows.ts';

const body = z.object({ dealId: z.string(), stage: z.string(), amount: z.number() });
const webhook = z.union([
  body.extend({ id: z.string() }),
  z.object({ id: z.string(), order: z.string() }),
]);
const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '' });
const client = new Client({ connection });

const app = express();
app.get('/readyz', (_request, response) => void response.json({ ready: true }));
app.post('/events/:type', express.json(), async (request, response) => {
  const id = request.get('idempotency-key') ?? '';
  const { dealId } = body.parse(request.body);
  await signal(id, dealId);
  response.status(202).json({ id });
});
app.use(WEBHOOK_PATH, express.raw({ type: 'application/json' }), (request, response, next) => {
  const expected = Buffer.from(signatureOf(request.body));
  const given = Buffer.from(request.get(SIGNATURE_HEADER) ?? '');
  if (given.length === expected.length && timingSafeEqual(given, expected)) next();
  else response.status(401).end();
});
app.post(WEBHOOK_PATH, async (request, response) => {
  const { id, ...data } = webhook.parse(JSON.parse(String(request.body)));
  if ('order' in data) await startOrder(data.order);
  else await signal(id, data.dealId);
  response.status(202).json({ id });
});

const signal = (id: string, dealId: string) =>
  client.workflow.signalWithStart(naiveDigest, {
    workflowId: `naive:${dealId}`,
    taskQueue: 'naive',
    signal: changed,
    signalArgs: [{ id, dealId }],
  });
const startOrder = (order: string) =>
  client.workflow.start(naiveOrder, {
    workflowId: `order:${order}`,
    taskQueue: 'naive',
    args: [order],
    // A sender that repeats itself is answered like the first time.
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
app.listen(Number(process.env.PORT), '127.0.0.1');
