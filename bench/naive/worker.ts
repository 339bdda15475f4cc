import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { callReceiver } from './activities.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '' });
const worker = await Worker.create({
  connection,
  taskQueue: 'naive',
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: { callReceiver },
  // As src/worker.ts has it, so that both are held back by the same.
  maxConcurrentActivityTaskExecutions: 200,
});
await worker.run();
