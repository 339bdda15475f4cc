/** The handlers that one writes by hand: verify, validate, signalWithStart, answer. */
import { timingSafeEqual } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import express from 'express';
import { z } from 'zod';
import { SIGNATURE_HEADER, signatureOf, WEBHOOK_PATH } from '../signed.ts';
import { changed, naiveDigest } from './workflows.ts';

const body = z.object({ dealId: z.string(), stage: z.string(), amount: z.number() });
const webhook = body.extend({ id: z.string() });
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
app.post(WEBHOOK_PATH, express.raw({ type: 'application/json' }), async (request, response) => {
  const expected = Buffer.from(signatureOf(request.body));
  const given = Buffer.from(request.get(SIGNATURE_HEADER) ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    response.status(401).end();
    return;
  }
  const { id, dealId } = webhook.parse(JSON.parse(String(request.body)));
  await signal(id, dealId);
  response.status(202).json({ id });
});

const signal = (id: string, dealId: string) =>
  client.workflow.signalWithStart(naiveDigest, {
    workflowId: `naive:${dealId}`,
    taskQueue: 'naive',
    signal: changed,
    signalArgs: [{ id, dealId }],
  });
app.listen(Number(process.env.PORT), '127.0.0.1');
