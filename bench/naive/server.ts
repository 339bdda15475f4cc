/** The handler that one writes by hand: validate, signalWithStart, answer. */
import { Client, Connection } from '@temporalio/client';
import express from 'express';
import { z } from 'zod';
import { changed, naiveDigest } from './workflows.ts';

const body = z.object({ dealId: z.string(), stage: z.string(), amount: z.number() });
const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '' });
const client = new Client({ connection });

const app = express();
app.get('/readyz', (_request, response) => void response.json({ ready: true }));
app.post('/events/:type', express.json(), async (request, response) => {
  const id = request.get('idempotency-key') ?? '';
  const { dealId } = body.parse(request.body);
  await client.workflow.signalWithStart(naiveDigest, {
    workflowId: `naive:${dealId}`,
    taskQueue: 'naive',
    signal: changed,
    signalArgs: [{ id, dealId }],
  });
  response.status(202).json({ id });
});
app.listen(Number(process.env.PORT), '127.0.0.1');
